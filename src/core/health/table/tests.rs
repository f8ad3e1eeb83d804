//! Where records are found, and which give way.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::{Params, failed, succeeded};
use super::*;
use crate::fallback::FailureClass;

#[test]
fn a_key_is_of_its_parts() {
    let key = record_key("a", Some("m"), Some("k"));
    assert_eq!(key, record_key("A", Some("M"), Some("K")));
    for other in [
        record_key("a", Some("m"), None),
        record_key("a", None, Some("k")),
        record_key("a", Some("mk"), Some("")),
        record_key("am", Some(""), Some("k")),
        record_key("a", Some("k"), Some("m")),
    ] {
        assert_ne!(key, other);
    }
    assert_ne!(record_key("a", None, None), record_key("a", Some(""), None));
}

proptest! {
    #[test]
    fn a_key_is_that_of_the_bytes_however_long_names_are(
        provider in "[a-zA-Z]{0,200}",
        model in proptest::option::of("[a-zA-Z]{0,200}"),
        id in proptest::option::of("[a-zA-Z]{0,200}"),
    ) {
        let mut hasher = DefaultHasher::new();
        for part in [Some(&provider), model.as_ref(), id.as_ref()] {
            for byte in part.map(|part| part.to_lowercase()).unwrap_or_default().bytes() {
                hasher.write_u8(byte);
            }
            hasher.write_u8(if part.is_some() { 0xff } else { 0xfe });
        }
        let key = record_key(&provider, model.as_deref(), id.as_deref());
        prop_assert_eq!(key, hasher.finish().max(1));
    }
}

#[test]
fn a_claimed_record_is_found_again() {
    let mut records = [Record::default(); 8];
    let mut table = Table::new(&mut records);
    assert!(table.find(5).is_none());
    table.claim(5, 1).unwrap();
    table.claim(13, 1).unwrap();
    let first: *const Record = table.find(5).unwrap();
    assert!(std::ptr::eq(table.claim(5, 9).unwrap(), first));
    assert_eq!(table.find(13).unwrap().key, 13);
    assert_eq!(table.find_mut(13).unwrap().key, 13);
    assert!(table.find(21).is_none());
    assert_eq!(table.evictions(), 0);
}

#[test]
fn a_full_table_forgets_what_was_not_used_for_longest() {
    let mut records = [Record::default(); 4];
    let mut table = Table::new(&mut records);
    for key in 1..=4 {
        table.claim(key, key * 100).unwrap();
    }
    succeeded(table.find_mut(1).unwrap(), 500, None, &Params::default());
    table.claim(9, 600).unwrap();
    assert!(table.find(2).is_none() && table.find(1).is_some());
    assert_eq!(table.evictions(), 1);
    // What is benched stays as long as anything else can go.
    failed(table.find_mut(3).unwrap(), 300, &Params::default(), None, FailureClass::AuthError);
    table.claim(10, 700).unwrap();
    assert!(table.find(3).is_some() && table.find(4).is_none());
}

#[test]
fn a_table_without_records_has_none() {
    let mut table = Table::new(&mut []);
    assert!(table.find(1).is_none() && table.claim(1, 1).is_none());
}

proptest! {
    #[test]
    fn a_table_is_a_map_until_it_is_full(
        keys in prop::collection::vec(1u64..60, 0..200), len in 1usize..50,
    ) {
        let mut records = vec![Record::default(); len];
        let mut table = Table::new(&mut records);
        let mut last = HashMap::new();
        for (now_ms, key) in (1..).zip(keys) {
            let record = table.claim(key, now_ms).unwrap();
            prop_assert_eq!(record.key, key);
            super::super::admit(record, now_ms);
            last.insert(key, now_ms);
            prop_assert_eq!(table.find(key).unwrap().seen_ms, now_ms);
            if table.evictions() == 0 {
                for (key, seen_ms) in &last {
                    prop_assert_eq!(table.find(*key).unwrap().seen_ms, *seen_ms);
                }
            }
        }
        prop_assert!(last.len() > len.min(MAX_STEPS) || table.evictions() == 0);
    }
}
