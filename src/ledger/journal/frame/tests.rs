//! Whether frames come back as they were written, whatever happened to the bytes around them.

use proptest::prelude::*;

use super::*;
use crate::fixture::event;

fn framed(seal: Seal, numbers: std::ops::Range<u64>) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut starts, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
    for number in numbers {
        starts.push(bytes.len());
        let length = seal.frame(&event(number), &mut buffer).unwrap();
        bytes.extend_from_slice(&buffer[..length]);
    }
    (bytes, starts)
}

/// All frames in some bytes, damage skipped, as a reader does it.
fn read_all(seal: Seal, mut bytes: &[u8]) -> (Vec<CostEvent>, usize) {
    let (mut events, mut skipped) = (Vec::new(), 0);
    loop {
        match seal.next(bytes) {
            Next::Frame { event, bytes: length } => {
                events.push(*event);
                bytes = &bytes[length..];
            }
            Next::Incomplete | Next::Damaged => match seal.find(bytes) {
                Some(at) => {
                    skipped += at;
                    bytes = &bytes[at..];
                }
                None => return (events, skipped + bytes.len()),
            },
        }
    }
}

#[test]
fn a_frame_is_read_as_it_was_written() {
    let seal = Seal::of(&new_header()).unwrap();
    let (bytes, _) = framed(seal, 0..3);
    assert_eq!(read_all(seal, &bytes), ((0..3).map(event).collect(), 0));
}

#[test]
fn the_buffer_of_a_frame_grows_to_the_largest_and_not_beyond() {
    let seal = Seal::of(&new_header()).unwrap();
    let mut buffer = Vec::new();
    let attempts = |count| vec![event(0).attempts[0].clone(); count];
    let large = CostEvent { attempts: attempts(2000), ..event(0) };
    let length = seal.frame(&large, &mut buffer).unwrap();
    assert!(matches!(seal.next(&buffer[..length]), Next::Frame { event, .. } if *event == large));
    let too_large = CostEvent { attempts: attempts(10_000), ..event(0) };
    assert_eq!(seal.frame(&too_large, &mut buffer), None);
    assert_eq!(buffer.len(), MAX_FRAME_BYTES);
    let length = seal.frame(&event(1), &mut buffer).unwrap();
    assert_eq!(read_all(seal, &buffer[..length]), (vec![event(1)], 0));
}

#[test]
fn frames_of_another_segment_are_none_of_this_one() {
    let [one, other] = [Seal::of(&new_header()).unwrap(), Seal::of(&new_header()).unwrap()];
    let (bytes, _) = framed(one, 0..2);
    assert_eq!(read_all(other, &bytes), (Vec::new(), bytes.len()));
}

#[test]
fn headers_tell_journals_of_other_versions_from_other_files() {
    let mut header = new_header();
    assert!(Seal::of(&header).is_ok());
    assert_eq!(Seal::of(&header[..15]).unwrap_err(), BadHeader::Short);
    header[7] += 1;
    assert_eq!(Seal::of(&header).unwrap_err(), BadHeader::Format(FORMAT + 1));
    header[0] = b'x';
    assert_eq!(Seal::of(&header).unwrap_err(), BadHeader::Magic);
}

proptest! {
    #[test]
    fn bytes_of_any_kind_are_no_frame_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let seal = Seal::of(&new_header()).unwrap();
        let (events, skipped) = read_all(seal, &bytes);
        prop_assert!(events.is_empty());
        prop_assert_eq!(skipped, bytes.len());
    }

    #[test]
    fn a_torn_tail_costs_the_torn_frame_only(count in 1_u64..6, cut in any::<prop::sample::Index>()) {
        let seal = Seal::of(&new_header()).unwrap();
        let (bytes, starts) = framed(seal, 0..count);
        let cut = cut.index(bytes.len());
        let whole = starts.iter().skip(1).filter(|&&start| start <= cut).count() as u64;
        let (events, skipped) = read_all(seal, &bytes[..cut]);
        prop_assert_eq!(events, (0..whole).map(event).collect::<Vec<_>>());
        prop_assert_eq!(skipped, cut - starts[whole as usize]);
    }

    #[test]
    fn damage_anywhere_costs_the_frames_that_it_touches_only(
        count in 1_u64..6,
        at in any::<prop::sample::Index>(),
        garbage in prop::collection::vec(any::<u8>(), 1..900),
    ) {
        let seal = Seal::of(&new_header()).unwrap();
        let (mut bytes, mut starts) = framed(seal, 0..count);
        let at = at.index(bytes.len());
        starts.push(bytes.len());
        let end = (at + garbage.len()).min(bytes.len());
        let mut intact = Vec::new();
        for (number, window) in starts.windows(2).enumerate() {
            let touched = window[0] < end && at < window[1];
            let same = !touched || {
                let (from, to) = (window[0].max(at), window[1].min(end));
                bytes[from..to] == garbage[from - at..to - at]
            };
            if same {
                intact.push(event(number as u64));
            }
        }
        bytes[at..end].copy_from_slice(&garbage[..end - at]);
        prop_assert_eq!(read_all(seal, &bytes).0, intact);
    }
}

/// Where this fails, a released version could not read what another one has left: raise `FORMAT`, and
/// say in the CHANGELOG that the journal is to be shipped before the update.
#[test]
fn an_event_is_laid_out_as_this_format_says() {
    assert_eq!(FORMAT, 1);
    let bytes = postcard::to_allocvec(&event(1)).unwrap();
    assert_eq!((bytes.len(), crc32fast::hash(&bytes)), (411, 3020296019));
}
