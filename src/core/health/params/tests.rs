//! Which lines are taken.

use super::*;

#[test]
fn a_line_has_defaults() {
    assert_eq!(Params::parse(&["10s"]), Ok(Params::default()));
    let long = Params::parse(&["10m"]).unwrap();
    assert_eq!((long.cooldown_ms, long.max_ms), (600_000, 600_000));
}

#[test]
fn a_line_takes_its_parameters_in_any_order() {
    let args = ["1s", "min=5", "ratio=0.25", "window=1m", "fails=0", "max=2s"];
    let params = Params::parse(&args).unwrap();
    assert_eq!((params.cooldown_ms, params.max_ms), (1000, 2000));
    assert_eq!((params.fails, params.window_ms), (0, 60_000));
    assert_eq!((params.ratio_permille, params.min), (250, 5));
    assert_eq!(Params::parse(&["1s", "ratio=1"]).unwrap().ratio_permille, 1000);
    assert_eq!(Params::parse(&["1s", "ratio=0.125"]).unwrap().ratio_permille, 125);
}

#[test]
fn a_misspelled_line_is_refused_with_the_word_to_change() {
    for (args, words) in [
        (&[][..], "needs a time"),
        (&["0"], "invalid time \"0\""),
        (&["soon"], "invalid time \"soon\""),
        (&["1s", "max=0"], "\"max=0\""),
        (&["1s", "ratio=0"], "\"ratio=0\""),
        (&["1s", "ratio=1.1"], "\"ratio=1.1\""),
        (&["1s", "ratio=0.1234"], "\"ratio=0.1234\""),
        (&["1s", "ratio=.5"], "\"ratio=.5\""),
        (&["1s", "ratio=50%"], "\"ratio=50%\""),
        (&["1s", "min=0"], "\"min=0\""),
        (&["1s", "fails=-1"], "\"fails=-1\""),
        (&["1s", "window"], "\"window\""),
        (&["1s", "burst=1"], "\"burst=1\""),
        (&["1s", "min=1", "min=2"], "duplicate \"min\""),
        (&["10m", "max=5m"], "longer than its max="),
    ] {
        let error = Params::parse(args).unwrap_err();
        assert!(error.contains(words) && error.contains(DIRECTIVE), "{error}");
    }
}
