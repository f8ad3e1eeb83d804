//! Whose is a budget? Records hold only hashes, so that the text stands in a record beside, for the
//! status page and for the question to a database. It gives way where room is needed.

use super::key::mixed;
use super::line::Scope;
use super::record::{Kind, Record, WORDS};
use super::table::Table;
use super::window::SpendWindow;

/// Bytes that fit into a record.
const BYTES: usize = WORDS * 8;

/// Between the unit and the ids; no id that has it inside is told right, and none of ours has.
const BETWEEN: u8 = 0x1f;

/// The flag of a text that is cut.
const CUT: u16 = 1 << 15;

/// Whose a budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Of an organisation, a project or a client.
    pub scope: Scope,
    /// How long the budget lasts.
    pub span: SpendWindow,
    /// Whether the text was longer, so that the ids are not to be relied on.
    pub is_cut: bool,
    len: usize,
    text: [u8; BYTES],
}

impl Label {
    /// Of what a line of the configuration says and what its variables hold.
    pub(super) fn new<'a>(
        scope: Scope,
        span: SpendWindow,
        unit: &str,
        ids: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let mut label = Self { scope, span, is_cut: false, len: 0, text: [0; BYTES] };
        label.push(unit.as_bytes());
        for id in ids {
            label.push(&[BETWEEN]);
            label.push(id);
        }
        label
    }

    fn push(&mut self, bytes: &[u8]) {
        let space = self.text.get_mut(self.len..).unwrap_or_default();
        for (space, byte) in space.iter_mut().zip(bytes) {
            *space = *byte;
        }
        let end = self.len + bytes.len();
        self.is_cut |= end > BYTES;
        self.len = end.min(BYTES);
    }

    /// The cost unit.
    #[must_use]
    pub fn unit(&self) -> &str {
        let unit = self.parts().next().unwrap_or_default();
        str::from_utf8(unit).unwrap_or_default()
    }

    /// What the variables held, in the order of the line.
    pub fn ids(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().skip(1)
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let text = self.text.get(..self.len).unwrap_or_default();
        text.split(|byte| *byte == BETWEEN)
    }

    fn store(&self, record: &mut Record) {
        let index = |at: Option<usize>| at.and_then(|at| u8::try_from(at).ok()).unwrap_or(0);
        let scope = index(Scope::ALL.iter().position(|one| *one == self.scope));
        let span = index(SpendWindow::ALL.iter().position(|one| *one == self.span));
        record.flags = span << 4 | scope;
        record.small = u16::try_from(self.len).unwrap_or(0) | if self.is_cut { CUT } else { 0 };
        for (word, bytes) in record.words.iter_mut().zip(self.text.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
    }

    fn load(record: &Record) -> Option<Self> {
        let mut text = [0; BYTES];
        for (word, bytes) in record.words.iter().zip(text.as_chunks_mut().0) {
            *bytes = word.to_le_bytes();
        }
        Some(Self {
            scope: *Scope::ALL.get(usize::from(record.flags & 0xf))?,
            span: *SpendWindow::ALL.get(usize::from(record.flags >> 4))?,
            is_cut: record.small & CUT != 0,
            len: usize::from(record.small & !CUT).min(BYTES),
            text,
        })
    }
}

impl Table<'_> {
    /// Notes whose a budget is.
    pub(super) fn set_label(&mut self, of: u64, label: &Label, now_ms: u64) {
        let Some(claimed) = self.claim(key(of), Kind::Label, now_ms) else { return };
        if let Some(record) = self.get_mut(claimed.slot) {
            label.store(record);
        }
    }

    pub(super) fn label(&self, of: u64) -> Option<Label> {
        self.find(key(of), Kind::Label).and_then(|slot| self.get(slot)).and_then(Label::load)
    }
}

/// The key of a record's label.
fn key(of: u64) -> u64 {
    mixed(of).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(unit: &str, ids: &[&str]) -> Label {
        let ids = ids.iter().map(|id| id.as_bytes());
        Label::new(Scope::Project, SpendWindow::Week, unit, ids)
    }

    #[test]
    fn a_label_comes_out_as_it_went_in() {
        let mut slots = [Record::default(); 8];
        let mut table = Table::new(&mut slots);
        let label = label("usd", &["acme", "", "platform"]);
        table.set_label(7, &label, 0);
        let found = table.label(7).unwrap();
        assert_eq!(found, label);
        assert_eq!(found.unit(), "usd");
        assert_eq!(found.ids().collect::<Vec<_>>(), [b"acme".as_slice(), b"", b"platform"]);
        assert_eq!((found.scope, found.span), (Scope::Project, SpendWindow::Week));
        assert!(!found.is_cut);
        assert_eq!(table.label(8), None);
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let cut = label("usd", &[&"x".repeat(200), "y"]);
        assert!(cut.is_cut);
        assert_eq!(cut.ids().map(<[u8]>::len).collect::<Vec<_>>(), [BYTES - 4]);
        assert!(!label("usd", &[&"x".repeat(BYTES - 4)]).is_cut);
        assert!(label("usd", &[&"x".repeat(BYTES - 3)]).is_cut);
    }
}
