//! Which replies were framed before?
//!
//! Benchmark mode asks for the same few answers again and again.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use crate::endpoint::Asked;
use crate::frame::{Exchange, Framed};

/// A client that varies its models must not fill the memory.
const MAX_REPLIES: usize = 4096;

/// All that a reply depends on, once nothing is scripted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub asked: Asked,
    pub exchange: Exchange,
    /// The `x-mock` header.
    pub answer: Option<String>,
}

#[derive(Debug, Default)]
pub struct Replies {
    framed: RwLock<HashMap<Key, Arc<Framed>>>,
}

impl Replies {
    pub fn find(&self, key: &Key) -> Option<Arc<Framed>> {
        self.framed.read().ok()?.get(key).map(Arc::clone)
    }

    pub fn keep(&self, key: Key, framed: &Arc<Framed>) {
        if let Ok(mut replies) = self.framed.write()
            && replies.len() < MAX_REPLIES
        {
            replies.insert(key, Arc::clone(framed));
        }
    }
}
