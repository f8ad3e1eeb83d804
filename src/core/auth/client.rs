//! Whose request is it, by the key that the client presents? The auth room asks once per request; the
//! key file is read by the caller, who swaps one [`Table`] for the next when it changes.
//!
//! The file has one line per key and no secret:
//!
//! ```text
//! llm-client-keys 1
//! acme-1 active 8d…:5f… org=acme project=chat client=web tier=gold models=gpt-*,o3 expires=1796083200
//! end 1
//! ```
//!
//! Words: id, state, `salt:hash`, then attributes in any order. Times are seconds since 1970, so that a
//! hundred thousand lines are read at once. The last line counts the keys: a file that was cut off is
//! refused as a whole. A secret of ours is 256 random bits, which nobody can guess however fast the
//! hash is; so it is one SHA-256 over salt and secret. Argon2 defends weak passwords, and would cost
//! each request as much as a hundred thousand of these.

mod digest;
mod line;
mod models;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

pub use digest::{Digest, SALT_BYTES};
pub use models::{Models, covers};

/// What the first line of a key file says.
pub const HEADER: &str = "llm-client-keys 1";

/// Longer than any credential; what is longer is not looked at.
const MAX_PRESENTED_BYTES: usize = 1024;

/// Key ids may have dots, and so may secrets that came from elsewhere.
const MAX_DOTS: usize = 8;

/// One client key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The public part of the credential, before its last dot.
    pub key_id: Box<str>,
    /// What the operator decided.
    pub state: State,
    /// The salted hash of the secret.
    pub digest: Digest,
    /// The hash before the last rotation, and until when (s) it counts.
    pub old: Option<(Digest, u64)>,
    /// The organisation's slug.
    pub org: Option<Arc<str>>,
    /// The project's slug.
    pub project: Option<Arc<str>>,
    /// The client's id.
    pub client: Option<Arc<str>>,
    /// The tier that limits may go by.
    pub tier: Option<Arc<str>>,
    /// Which models the key may use; without a list, all of the catalog.
    pub models: Option<Arc<Models>>,
    /// When (s) the key ends.
    pub expires_s: Option<u64>,
    /// When (s) the key or its present secret was made.
    pub created_s: Option<u64>,
}

/// What the operator decided about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It works.
    Active,
    /// It does not work until it is resumed.
    Suspended,
    /// It never works again.
    Revoked,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Revoked];

    /// The word in the file and in `$llm_client_status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What a presented credential is worth. Whoever knows no secret learns no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'t> {
    /// The request may go on in this client's name.
    Active(&'t Client),
    /// No key with this id has this secret: 401.
    Unknown,
    /// 403
    Suspended(&'t Client),
    /// 403
    Revoked(&'t Client),
    /// The key's time is over, or that of the secret before a rotation: 403.
    Expired(&'t Client),
}

impl<'t> Verdict<'t> {
    /// The word in `$llm_client_status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active(_) => "active",
            Self::Unknown => "unknown",
            Self::Suspended(_) => "suspended",
            Self::Revoked(_) => "revoked",
            Self::Expired(_) => "expired",
        }
    }

    /// The key, as soon as its secret was right: logs name it in a refusal, too.
    #[must_use]
    pub const fn client(self) -> Option<&'t Client> {
        match self {
            Self::Unknown => None,
            Self::Active(client)
            | Self::Suspended(client)
            | Self::Revoked(client)
            | Self::Expired(client) => Some(client),
        }
    }
}

impl Client {
    /// A key that works, for everything, and belongs to nobody.
    #[must_use]
    pub fn new(key_id: &str, digest: Digest) -> Self {
        Self {
            key_id: key_id.into(),
            state: State::Active,
            digest,
            old: None,
            org: None,
            project: None,
            client: None,
            tier: None,
            models: None,
            expires_s: None,
            created_s: None,
        }
    }

    /// Whether the key is of this organisation and this project; `None` asks for nothing.
    #[must_use]
    pub fn is_of(&self, org: Option<&str>, project: Option<&str>) -> bool {
        let fits = |wanted: Option<&str>, own: &Option<Arc<str>>| {
            wanted.is_none_or(|wanted| own.as_deref() == Some(wanted))
        };
        fits(org, &self.org) && fits(project, &self.project)
    }

    /// Whether the key may use a model.
    #[must_use]
    pub fn may_use(&self, model: &str) -> bool {
        self.models.as_deref().is_none_or(|models| models.contains(model))
    }

    fn judge(&self, secret: &[u8], now_s: u64) -> Verdict<'_> {
        let is_present = self.digest.is_of(secret);
        let until_s = match &self.old {
            Some((old, until_s)) if old.is_of(secret) => Some(*until_s),
            _ => None,
        };
        if !is_present && until_s.is_none() {
            return Verdict::Unknown;
        }
        let replaced = !is_present && until_s.is_some_and(|until_s| now_s >= until_s);
        match self.state {
            State::Revoked => Verdict::Revoked(self),
            State::Suspended => Verdict::Suspended(self),
            State::Active if replaced => Verdict::Expired(self),
            State::Active if self.expires_s.is_some_and(|end_s| now_s >= end_s) => {
                Verdict::Expired(self)
            }
            State::Active => Verdict::Active(self),
        }
    }
}

/// Every key of a file.
#[derive(Debug, Default)]
pub struct Table {
    clients: Vec<Client>,
    index: HashMap<Box<str>, usize>,
}

/// Why a key file is refused. It repeats nothing of a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what to change.
    pub text: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl std::error::Error for FileError {}

impl Table {
    /// The keys of a whole file.
    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        line::table(bytes)
    }

    /// Adds a key; false if there is one with its id.
    pub fn push(&mut self, client: Client) -> bool {
        let at = self.clients.len();
        match self.index.entry(client.key_id.clone()) {
            std::collections::hash_map::Entry::Occupied(_) => return false,
            std::collections::hash_map::Entry::Vacant(place) => place.insert(at),
        };
        self.clients.push(client);
        true
    }

    /// Every key in the file's order.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// The key of an id.
    #[must_use]
    pub fn client(&self, key_id: &str) -> Option<&Client> {
        self.clients.get(*self.index.get(key_id)?)
    }

    /// The key of an id, to change it. Its id must stay.
    pub fn client_mut(&mut self, key_id: &str) -> Option<&mut Client> {
        self.clients.get_mut(*self.index.get(key_id)?)
    }

    /// What the credential `key_id.secret` is worth at a time in seconds.
    #[must_use]
    pub fn lookup(&self, presented: &[u8], now_s: u64) -> Verdict<'_> {
        let mut hashed = false;
        if presented.len() <= MAX_PRESENTED_BYTES {
            for dot in memchr::memrchr_iter(b'.', presented).take(MAX_DOTS) {
                let (Some(id), Some(secret)) = (presented.get(..dot), presented.get(dot + 1..))
                else {
                    continue;
                };
                let Some(client) = std::str::from_utf8(id).ok().and_then(|id| self.client(id))
                else {
                    continue;
                };
                hashed = true;
                let verdict = client.judge(secret, now_s);
                if verdict != Verdict::Unknown {
                    return verdict;
                }
            }
        }
        if !hashed {
            // An id that does not exist takes as long as one that does.
            let secret = presented.get(..64).unwrap_or(presented);
            std::hint::black_box(Digest::nobodys().is_of(secret));
        }
        Verdict::Unknown
    }
}

impl fmt::Display for Table {
    /// The whole file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        for client in &self.clients {
            writeln!(f, "{client}")?;
        }
        writeln!(f, "end {}", self.clients.len())
    }
}

#[cfg(test)]
mod tests;
