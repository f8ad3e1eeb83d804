//! Which secret does a key have at this moment? The caller reads the sources when it starts and when a
//! file changes, and swaps one [`Store`] for the next; requests look here.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Credentials, Key, Secret, SecretSource};

/// The secrets of a location's keys, by key number.
#[derive(Debug, Clone, Default)]
pub struct Store(Vec<Option<Entry>>);

#[derive(Debug, Clone)]
struct Entry {
    secret: Secret,
    fingerprint: String,
}

impl Credentials {
    /// Reads every secret: `read` is asked for variables and files. The texts say which are missing,
    /// for a start error or a warning. `salt` keys the fingerprints, see [`fingerprint`].
    #[must_use]
    pub fn resolve(
        &self,
        salt: &[u8],
        mut read: impl FnMut(&SecretSource) -> Result<Secret, String>,
    ) -> (Store, Vec<String>) {
        let mut missing = Vec::new();
        let mut entry = |key: &Key| {
            let secret = match &key.source {
                SecretSource::Literal(secret) => Ok(secret.clone()),
                source => read(source),
            };
            match secret {
                Ok(secret) => {
                    let fingerprint = fingerprint(&secret, salt);
                    Some(Entry { secret, fingerprint })
                }
                Err(why) => {
                    let (name, id) = (key.scope.name(), &key.id);
                    missing.push(format!(
                        "the secret of {name} credential \"{id}\" for provider \"{}\" is missing: \
                         {why}",
                        key.provider
                    ));
                    None
                }
            }
        };
        let entries = self.keys().iter().map(&mut entry).collect();
        (Store(entries), missing)
    }
}

impl Store {
    /// The secret of a key; `None` while it is missing.
    #[must_use]
    pub fn secret(&self, number: usize) -> Option<&Secret> {
        self.entry(number).map(|entry| &entry.secret)
    }

    /// The fingerprint of a key's secret.
    #[must_use]
    pub fn fingerprint(&self, number: usize) -> Option<&str> {
        self.entry(number).map(|entry| entry.fingerprint.as_str())
    }

    /// All secrets, for the mask that hides them.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter().flatten().map(|entry| &entry.secret)
    }

    /// Fills what is missing from an earlier store of the same lines: a file that is gone for a moment,
    /// or is half written, does not take a working key away.
    #[must_use]
    pub fn or(mut self, earlier: &Self) -> Self {
        for (entry, earlier) in self.0.iter_mut().zip(&earlier.0) {
            if entry.is_none() {
                entry.clone_from(earlier);
            }
        }
        self
    }

    fn entry(&self, number: usize) -> Option<&Entry> {
        self.0.get(number)?.as_ref()
    }
}

/// What logs and quotas may know of a secret: 24 hexadecimal digits that differ for each secret and
/// cannot be checked against a guess without the salt. It stays as long as both do.
#[must_use]
pub fn fingerprint(secret: &Secret, salt: &[u8]) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt) else { return String::new() };
    mac.update(secret.reveal().as_bytes());
    let hash = mac.finalize().into_bytes();
    hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}
