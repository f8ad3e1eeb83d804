//! Where is a target's record? A view over the records of the shared zone, which the caller has locked.

use std::hash::{DefaultHasher, Hasher};

use super::Record;

/// How many records are looked at for one key.
const MAX_STEPS: usize = 32;

/// How many bytes are hashed at once.
const PIECE: usize = 128;

/// Records found by hash.
#[derive(Debug)]
pub struct Table<'a> {
    records: &'a mut [Record],
    evictions: u64,
}

/// The hash of a target and key. Case does not matter, as in the catalog. It is never 0.
#[must_use]
pub fn record_key(provider: &str, model: Option<&str>, key_id: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    // The hasher is slow with single bytes and short pieces, and names are short.
    let (mut lower, mut len) = ([0; PIECE], 0);
    let mut put = |bytes: &[u8]| {
        if bytes.len() > PIECE - len {
            hasher.write(lower.get(..len).unwrap_or_default());
            len = 0;
        }
        match lower.get_mut(len..len + bytes.len()) {
            Some(space) => {
                space.copy_from_slice(bytes);
                space.make_ascii_lowercase();
                len += bytes.len();
            }
            None => bytes.iter().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase())),
        }
    };
    for part in [Some(provider), model, key_id] {
        put(part.unwrap_or_default().as_bytes());
        // No name has these bytes, so parts cannot run into each other and none is not empty.
        put(&[if part.is_some() { 0xff } else { 0xfe }]);
    }
    hasher.write(lower.get(..len).unwrap_or_default());
    hasher.finish().max(1)
}

impl<'a> Table<'a> {
    /// The view; all-zero records are unused.
    #[must_use]
    pub fn new(records: &'a mut [Record]) -> Self {
        Self { records, evictions: 0 }
    }

    /// The record of a key, if there is one.
    #[must_use]
    pub fn find(&self, key: u64) -> Option<&Record> {
        self.records.get(self.place(key)?)
    }

    /// The record of a key, to be changed.
    pub fn find_mut(&mut self, key: u64) -> Option<&mut Record> {
        self.records.get_mut(self.place(key)?)
    }

    /// The record of a key, made where there was none. Where no room is left, the one that was not
    /// used for the longest time gives way, rather one that is not benched. `None` only if the table
    /// has no records at all.
    pub fn claim(&mut self, key: u64, now_ms: u64) -> Option<&mut Record> {
        let free = || self.places(key).find(|&at| self.key_at(at) == 0);
        let at = match self.place(key).or_else(free) {
            Some(at) => at,
            None => {
                self.evictions += 1;
                let oldest = |&at: &usize| {
                    let record = self.records.get(at);
                    record.map(|one| (one.benched_until_ms(now_ms).is_some(), one.seen_ms))
                };
                let at = self.places(key).min_by_key(oldest)?;
                *self.records.get_mut(at)? = Record::default();
                at
            }
        };
        let record = self.records.get_mut(at)?;
        if record.key == 0 {
            *record = Record::new(key, now_ms);
        }
        Some(record)
    }

    /// How many records gave way to others since the view was made.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Where the record of a key is. No record is moved or becomes unused again, so none stands
    /// behind an unused one.
    fn place(&self, key: u64) -> Option<usize> {
        let mut places = self.places(key).take_while(|&at| self.key_at(at) != 0);
        places.find(|&at| self.key_at(at) == key)
    }

    /// The places where the record of a key may be.
    fn places(&self, key: u64) -> impl Iterator<Item = usize> + use<> {
        let len = self.records.len();
        let home = usize::try_from(key % (len.max(1) as u64)).unwrap_or(0);
        (0..len.min(MAX_STEPS)).map(move |step| (home + step) % len)
    }

    fn key_at(&self, at: usize) -> u64 {
        self.records.get(at).map_or(0, |record| record.key)
    }
}

#[cfg(test)]
mod tests;
