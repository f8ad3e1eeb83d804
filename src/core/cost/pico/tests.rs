//! Whether amounts are read and written without losing a digit.

use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    text.parse::<Pico>().unwrap().to_string()
}

#[test]
fn at_least_eight_decimals_are_printed_and_none_is_lost() {
    for (text, printed) in [
        ("0", "0.00000000"),
        ("0.00025", "0.00025000"),
        ("0.0001365", "0.00013650"),
        ("0.0000136500", "0.00001365"),
        ("0.000013651", "0.000013651"),
        ("0.000000000001", "0.000000000001"),
        ("007.5", "7.50000000"),
        ("800", "800.00000000"),
        ("1.0000000000000000000", "1.00000000"),
    ] {
        assert_eq!(shown(text), printed, "{text}");
    }
    let largest = "340282366920938463463374607.431768211455";
    assert_eq!(shown(largest), largest);
    assert_eq!(largest.parse(), Ok(Pico(u128::MAX)));
}

#[test]
fn what_is_no_amount_is_refused() {
    for text in [
        "", ".", "1.", ".5", "-1", "+1", "1e3", "1E-3", "NaN", "inf", " 1", "1 ", "1,5", "1.2.3",
        "1_000", "0x1", "١", "$1",
    ] {
        assert_eq!(text.parse::<Pico>(), Err(PicoError::Syntax), "{text:?}");
    }
    assert_eq!("0.0000000000001".parse::<Pico>(), Err(PicoError::TooFine));
    let larger = "340282366920938463463374607.431768211456";
    assert_eq!(larger.parse::<Pico>(), Err(PicoError::TooLarge));
    assert_eq!("9".repeat(400).parse::<Pico>(), Err(PicoError::TooLarge));
}

#[test]
fn sums_and_differences_that_cannot_be_held_are_told() {
    assert_eq!(Pico(1).checked_add(Pico(2)), Some(Pico(3)));
    assert_eq!(Pico(u128::MAX).checked_add(Pico(1)), None);
    assert_eq!(Pico(3).checked_sub(Pico(2)), Some(Pico(1)));
    assert_eq!(Pico::ZERO.checked_sub(Pico(1)), None);
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_the_same(pico: u128, shift in 0_u32..128) {
        let pico = Pico(pico >> shift);
        let printed = pico.to_string();
        prop_assert_eq!(printed.parse(), Ok(pico));
        let decimals = printed.split_once('.').unwrap().1;
        prop_assert!(decimals.len() == 8 || !decimals.ends_with('0') && decimals.len() <= 12);
    }

    #[test]
    fn no_text_is_misread(text in "[0-9.eE+-]{0,24}|\\PC{0,8}") {
        // The value is that of the digits, counted without the code under test.
        if let Ok(Pico(pico)) = text.parse() {
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let digits = format!("{whole}{fraction:0<12}");
            let (kept, lost) = digits.split_at(whole.len() + 12);
            prop_assert_eq!(kept.parse(), Ok(pico));
            prop_assert!(lost.bytes().all(|digit| digit == b'0'));
        }
    }
}
