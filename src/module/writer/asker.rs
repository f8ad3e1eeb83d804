//! When is a provider asked whether it lives? At its interval, and when the operator wants to know. Each
//! one has a thread of its own in the first worker: one that hangs delays neither the others nor the files
//! that are watched.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use llm_core::health::{Probed, Record};

use super::probe::{self, ProbeTarget};
use super::{Stop, TICK, run};
use crate::auth::Safe;
use crate::ffi::shm::Zone;
use crate::ffi::thread::with_nginx;
use crate::health;

/// A provider that is asked from time to time.
#[derive(Clone)]
pub struct Probe {
    /// Whom to ask and how.
    pub target: ProbeTarget,
    /// Between two questions.
    pub interval: Duration,
    /// The keys, of which the first of this provider is sent.
    pub safe: Option<Arc<Safe>>,
}

impl Probe {
    /// How long the operator may have to wait for an answer: the thread looks for wishes at every tick, and
    /// may be at a question already.
    pub fn longest_wait(&self) -> Duration {
        const SPARE: Duration = Duration::from_secs(1);
        self.target.timeout.saturating_mul(2) + TICK + SPARE
    }

    fn ask(&self) -> Probed {
        let secrets = self.safe.as_ref().map(|safe| safe.secrets());
        let number = self.safe.as_ref().and_then(|safe| {
            let keys = safe.credentials.keys();
            keys.iter().position(|key| key.provider == self.target.provider)
        });
        let secret = secrets.as_ref().zip(number).and_then(|(s, number)| s.store.secret(number));
        probe::ask(&self.target, secret)
    }

    /// Longer than until the next answer is known; when nobody asks any more the bench ends by itself.
    fn bench_ms(&self) -> u64 {
        let next = self.interval + TICK + self.target.timeout;
        u64::try_from(next.as_millis()).unwrap_or(u64::MAX).saturating_mul(2)
    }
}

/// Starts the thread of a probe.
pub fn start(probe: Probe, zone: Zone<Record>, stop: &Stop) -> Option<JoinHandle<()>> {
    let mut due = Instant::now();
    run("llm-probe", stop, move || {
        let provider = &probe.target.provider;
        let ticket = with_nginx(|| health::wanted_probe(zone, provider)).flatten();
        if ticket.is_none() && due > Instant::now() {
            return;
        }
        due = Instant::now() + probe.interval;
        let found = probe.ask();
        // One failure benches it, until a later probe succeeds.
        let bench_ms = (!found.is_up()).then(|| probe.bench_ms());
        with_nginx(|| health::note_probe(zone, provider, ticket, &found, bench_ms));
    })
}
