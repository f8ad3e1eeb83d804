//! Is a configuration read as nginx reads it, and printed so that it reads back the same?

use super::*;

fn read(text: &str) -> Result<Vec<Item>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, text).unwrap();
    parse_file(&path).map_err(|(place, text)| format!("{}: {text}", place.line))
}

fn shape(items: &[Item]) -> Vec<(String, Vec<String>, usize)> {
    let line = |directive: &Directive| match &directive.origin {
        Origin::File { line, .. } => *line,
        _ => 0,
    };
    directives(items).map(|d| (d.name.clone(), d.args.clone(), line(d))).collect()
}

#[test]
fn words_are_read_as_nginx_reads_them() {
    let text = "# first\nmap $a \"$b\" { \"~^Bearer[ \\t]+(.+)$\" $1; '' \"a\\\"b\"; }\n\
                return 200 ${x}y;\nif ($a = b) { return 401; }\n";
    let items = read(text).unwrap();
    let [map, answer, _] = shape(&items).try_into().unwrap();
    assert_eq!(map, ("map".into(), vec!["$a".into(), "$b".into()], 2));
    assert_eq!(answer.1, ["200", "${x}y"]);
    let block = directives(&items).next().unwrap().block.as_ref().unwrap();
    let [first, second] = shape(block).try_into().unwrap();
    assert_eq!(first.0, "~^Bearer[ \t]+(.+)$");
    assert_eq!((second.0.as_str(), second.1[0].as_str()), ("", "a\"b"));
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let items: Vec<Item> = vec![
        Item::Note("note; with { signs".into()),
        Directive::block(
            "server",
            Vec::<String>::new(),
            Origin::Ours,
            vec![
                Directive::new("a", ["x y", "", "q\"\\'", "#c", "tab\t;{}"], Origin::Ours).into(),
                Directive::new(
                    "log_format",
                    ["n", "escape=json", "{", "\"a\":\"$b\""],
                    Origin::Ours,
                )
                .into(),
            ],
        )
        .into(),
    ];
    let [(_, text)] = print(&items, Style::Whole).try_into().unwrap();
    let read = read(&text).unwrap();
    let inner = |items: &[Item]| {
        let block = directives(items).next().unwrap().block.clone().unwrap();
        shape(&block).into_iter().map(|(name, args, _)| (name, args)).collect::<Vec<_>>()
    };
    assert_eq!(inner(&read), inner(&items), "{text}");
}

#[test]
fn parts_are_included_by_name() {
    let part = Item::Part {
        name: "upstreams.conf".into(),
        items: vec![Directive::new("x", ["1"], Origin::Manifest("a.b".into())).into()],
    };
    let files = print(std::slice::from_ref(&part), Style::Parts);
    assert_eq!(files[0].1, "include upstreams.conf;\n");
    assert_eq!(files[1].0, "upstreams.conf");
    assert!(files[1].1.starts_with("x 1; ") && files[1].1.ends_with(" # a.b\n"));
    assert!(print(&[part], Style::Whole)[0].1.starts_with("x 1;"));
}

#[test]
fn errors_name_the_line() {
    for (text, line) in [
        ("a;\nb {\n", 3),
        ("a;\n}\n", 2),
        ("a \"b\n\n", 3),
        ("a\n", 2),
        ("http {\n  a b\n}\n", 3),
        ("a;\ninclude missing.conf;\n", 2),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(&format!("{line}: ")), "{text:?}: {error}");
    }
}
