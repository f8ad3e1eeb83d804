//! How do several processes write whole lines into one file? Under a lock that is asked for a bounded
//! time; what a killed writer left of a line is taken away by the next.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::journal::{Mark, private};

const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// What each line of ours starts with.
const LINE_START: &[u8] = b"{\"";

/// A file that is opened again when it has been renamed.
#[derive(Debug)]
pub(crate) struct LineFile {
    path: PathBuf,
    open: Option<File>,
}

impl LineFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Where the file ends now.
    pub(crate) fn mark(&mut self) -> io::Result<Mark> {
        mark_of(self.current()?)
    }

    /// Writes lines that end with a newline, all or none, and waits until they are on disk.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<Mark> {
        let file = self.current()?;
        if !file.metadata()?.is_file() {
            // A pipe or a terminal has no end to mend.
            (&*file).write_all(lines)?;
            return Ok(Mark::default());
        }
        let locked = Locked::new(file)?;
        let length = locked.mend()?;
        let written = (&*file).write_all(lines).and_then(|()| file.sync_data());
        if written.is_err() {
            file.set_len(length)?;
        }
        written?;
        mark_of(file)
    }

    /// Calls `seen` with each line behind `mark`, if that is a place in this file.
    pub(crate) fn lines_since(
        &mut self,
        mark: Mark,
        mut seen: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        /// What other workers wrote in the meantime may stand between; a batch is far smaller.
        const SEARCHED_BYTES: u64 = 64 * 1024 * 1024;
        let file = self.current()?;
        if file.metadata()?.ino() != mark.file {
            return Ok(());
        }
        let mut file = file;
        file.seek(SeekFrom::Start(mark.offset))?;
        let mut reader = BufReader::new(file.take(SEARCHED_BYTES));
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            seen(&line);
            line.clear();
        }
        Ok(())
    }

    fn current(&mut self) -> io::Result<&File> {
        let there = std::fs::metadata(&self.path).map(|metadata| metadata.ino()).ok();
        let is_same = self
            .open
            .as_ref()
            .is_some_and(|file| file.metadata().ok().map(|metadata| metadata.ino()) == there);
        if !is_same {
            self.open = None;
        }
        match &mut self.open {
            Some(file) => Ok(file),
            none => {
                if let Some(directory) = self.path.parent() {
                    std::fs::create_dir_all(directory)?;
                }
                let file = private().read(true).append(true).create(true).open(&self.path)?;
                Ok(none.insert(file))
            }
        }
    }
}

fn mark_of(file: &File) -> io::Result<Mark> {
    let metadata = file.metadata()?;
    Ok(Mark { file: metadata.ino(), offset: metadata.len() })
}

/// A file that no other process of ours writes.
struct Locked<'a>(&'a File);

impl<'a> Locked<'a> {
    fn new(file: &'a File) -> io::Result<Self> {
        for _ in 0..LOCK_TRIES {
            if flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Ok(Self(file));
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "another process holds its lock"))
    }

    /// Takes away the start of a line that was never finished, and tells the length.
    fn mend(&self) -> io::Result<u64> {
        let length = self.0.metadata()?.len();
        let end = self.last_line_end(length)?;
        if end == length {
            return Ok(length);
        }
        let mut start = [0; LINE_START.len()];
        let bytes = self.0.read_at(&mut start, end)?;
        if start.get(..bytes).is_some_and(|start| LINE_START.starts_with(start)) {
            self.0.set_len(end)?;
            return Ok(end);
        }
        // Not ours.
        let mut file = self.0;
        file.write_all(b"\n")?;
        Ok(length + 1)
    }

    /// Behind the last newline.
    fn last_line_end(&self, length: u64) -> io::Result<u64> {
        const BLOCK_BYTES: u64 = 4096;
        let mut end = length;
        let mut block = [0; BLOCK_BYTES as usize];
        while end > 0 {
            let start = end.saturating_sub(BLOCK_BYTES);
            let wanted = usize::try_from(end - start).unwrap_or_default();
            let block = block.get_mut(..wanted).unwrap_or_default();
            self.0.read_exact_at(block, start)?;
            if let Some(at) = block.iter().rposition(|&byte| byte == b'\n') {
                return Ok(start + at as u64 + 1);
            }
            end = start;
        }
        Ok(0)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests;
