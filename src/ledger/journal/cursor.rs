//! How far is a sink? One small file per owner and sink, replaced after each batch. It may be lost: what
//! is shipped twice is one row.

use std::io;
use std::path::Path;

use super::files::{Durable, cursor_path, replace};

/// A place in an owner's segments: the next frame to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment's number; 0 is before the first.
    pub segment: u64,
    /// Bytes from its start.
    pub offset: u64,
}

/// How long a file was before the last batch that is surely not in it; only the `log` sink has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Its inode.
    pub file: u64,
    /// Its length.
    pub offset: u64,
}

/// What is kept of a sink's progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Everything before it has been written.
    pub position: Position,
    /// Where the sink's own file ended then.
    pub mark: Mark,
}

impl Cursor {
    /// `None`: there is none, or what is there is damaged; one starts from the first segment.
    pub(crate) fn load(directory: &Path, owner: &str, sink: &str) -> Option<Self> {
        let text = std::fs::read_to_string(cursor_path(directory, owner, sink)).ok()?;
        let (body, checksum) = text.trim_end().rsplit_once(' ')?;
        if u32::from_str_radix(checksum, 16).ok()? != crc32fast::hash(body.as_bytes()) {
            return None;
        }
        let mut numbers = body.strip_prefix(MAGIC)?.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        Some(Self {
            position: Position { segment: next()?, offset: next()? },
            mark: Mark { file: next()?, offset: next()? },
        })
    }

    /// Replaces the file.
    pub(crate) fn save(&self, directory: &Path, owner: &str, sink: &str) -> io::Result<()> {
        let Self { position, mark } = self;
        let body = format!(
            "{MAGIC}{} {} {} {}",
            position.segment, position.offset, mark.file, mark.offset
        );
        let text = format!("{body} {:08x}\n", crc32fast::hash(body.as_bytes()));
        replace(&cursor_path(directory, owner, sink), text.as_bytes(), Durable::No)
    }
}

const MAGIC: &str = "llm-cursor 1 ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_not_when_it_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let cursor = Cursor {
            position: Position { segment: 3, offset: 77 },
            mark: Mark { file: u64::MAX, offset: 12 },
        };
        assert_eq!(Cursor::load(directory.path(), "a-1", "log"), None);
        cursor.save(directory.path(), "a-1", "log").unwrap();
        assert_eq!(Cursor::load(directory.path(), "a-1", "log"), Some(cursor));
        let path = cursor_path(directory.path(), "a-1", "log");
        let text = std::fs::read_to_string(&path).unwrap();
        for damaged in [text.replace("77", "78"), text.replace(" 1 ", " 2 "), String::new()] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(Cursor::load(directory.path(), "a-1", "log"), None);
        }
    }
}
