//! Where is an event between its request and the databases? In segments on disk: each worker appends to
//! its own, threads read all. See `append`, `read` and `owner`.

mod all;
mod append;
mod cursor;
mod files;
mod frame;
mod owner;
mod read;

pub use all::read_all;
pub use append::{AppendError, Appender};
pub use cursor::{Cursor, Mark, Position};
pub use files::DEAD_LETTER_FILE;
pub(crate) use files::{
    Durable, Listing, lock_path, private, remove_cursors, remove_if_there, replace, segment_path,
    segments_of, sync_directory_of,
};
pub(crate) use owner::Claim;
pub use owner::{Limits, Owner};
pub use read::{Batch, Life, Reader};
