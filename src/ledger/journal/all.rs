//! What waits in a journal that others write? For reports, which look and change nothing.

use std::io;
use std::path::Path;

use llm_core::cost::CostEvent;

use super::cursor::Position;
use super::files::Listing;
use super::read::{Life, Reader};

const BATCH: usize = 1024;

/// Gives `each` every event that is in the directory, owner by owner; one that a sink has written may be
/// there still. Returns how many damaged bytes were passed over.
pub fn read_all(directory: &Path, mut each: impl FnMut(CostEvent)) -> io::Result<u64> {
    let mut skipped_bytes = 0;
    for (owner, segments) in Listing::of(directory)?.segments {
        // The last one may be growing: what is half written there is no damage.
        let (Some(&segment), Some(&last)) = (segments.keys().next(), segments.keys().last()) else {
            continue;
        };
        let mut reader = Reader::new(directory);
        let mut from = Position { segment, offset: 0 };
        loop {
            let batch = reader.read(&owner, from, Life::Writing(last), BATCH)?;
            if let Some(format) = batch.foreign_format {
                return Err(io::Error::other(format!(
                    "a segment has the format {format} of another version"
                )));
            }
            skipped_bytes += batch.skipped_bytes;
            let is_done = batch.events.is_empty() && batch.end == from;
            from = batch.end;
            batch.events.into_iter().for_each(&mut each);
            if is_done {
                break;
            }
        }
    }
    Ok(skipped_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{Appender, Limits, Owner};
    use super::*;
    use crate::fixture::event;

    #[test]
    fn every_owners_events_are_read_the_growing_segments_too() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { max_bytes: 1 << 20, workers: 2 };
        let mut writers: Vec<_> =
            (0..2).map(|_| Appender::new(Owner::open(folder.path(), limits).unwrap())).collect();
        // Several segments of 128 KiB each.
        for number in 0..1500 {
            writers[usize::from(number % 3 == 0)].append(&event(number)).unwrap();
        }
        let mut ids = Vec::new();
        let skipped =
            read_all(folder.path(), |event| ids.push(event.event_id.to_string())).unwrap();
        assert!(Listing::of(folder.path()).unwrap().segments.values().any(|all| all.len() > 2));
        ids.sort();
        let want: Vec<_> = (0..1500).map(|number| event(number).event_id.to_string()).collect();
        assert_eq!((skipped, ids), (0, want));
        assert!(read_all(&folder.path().join("gone"), drop).is_err());
    }
}
