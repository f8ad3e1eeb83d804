//! What did a probe find? One GET beside all requests ends with a status or without one; the record of
//! the provider keeps the latest answer, and the tickets of those who wait for one.

use super::Record;

/// Why there is no status. It holds nothing of the request, so no secret either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeError {
    /// No connection was made.
    Connect,
    /// The handshake failed, or the certificate is not the provider's.
    Tls,
    /// The time was over.
    Timeout,
    /// The connection ended without a status, or what came is not HTTP/1.
    BadResponse,
}

impl ProbeError {
    const ALL: [Self; 4] = [Self::Connect, Self::Tls, Self::Timeout, Self::BadResponse];

    /// The word for people and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::BadResponse => "bad_response",
        }
    }
}

impl std::fmt::Display for ProbeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for ProbeError {}

/// What a probe has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// The status of the answer.
    pub answer: Result<u16, ProbeError>,
    /// How long it took, connecting included.
    pub latency_ms: u64,
}

impl Probed {
    /// Whether the provider may be sent requests. A refusal such as 401, 403 or 404 comes from a provider
    /// that lives: the key or the path of the probe is at fault, and requests have their own. A 429
    /// foretells what the next request would get, and 5xx is what fallback is for.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        match self.answer {
            Ok(status) => status < 500 && status != 429,
            Err(_) => false,
        }
    }

    /// The word for people and scripts.
    #[must_use]
    pub const fn result(&self) -> &'static str {
        match self.answer {
            Ok(_) if self.is_up() => "ok",
            Ok(_) => "bad_status",
            Err(error) => error.name(),
        }
    }

    /// As a record keeps it: a status as it is, an error as a small number; 0 is no probe yet.
    fn code(&self) -> u32 {
        match self.answer {
            Ok(status) => status.into(),
            Err(error) => 1 + error as u32,
        }
    }

    fn of_code(code: u32, latency_ms: u64) -> Option<Self> {
        let error = || ProbeError::ALL.into_iter().find(|error| 1 + *error as u32 == code);
        let answer = match u16::try_from(code) {
            Ok(status) if status >= 100 => Ok(status),
            _ => Err(error()?),
        };
        Some(Self { answer, latency_ms })
    }
}

impl Record {
    /// Somebody wants a probe that begins from now on; the ticket is for [`Record::probe_for`].
    pub fn want_probe(&mut self) -> u32 {
        let latest = self.wanted_probe().unwrap_or(self.probes_done);
        self.probes_wanted = latest.wrapping_add(1);
        self.probes_wanted
    }

    /// The latest ticket, while nothing has answered it.
    #[must_use]
    pub fn wanted_probe(&self) -> Option<u32> {
        (!is_reached(self.probes_wanted, self.probes_done)).then_some(self.probes_wanted)
    }

    /// A probe has ended, that began when `ticket` was the latest one.
    pub fn note_probe(&mut self, ticket: Option<u32>, probed: &Probed) {
        self.probe_code = probed.code();
        self.probe_ms = probed.latency_ms;
        if let Some(ticket) = ticket.filter(|ticket| !is_reached(*ticket, self.probes_done)) {
            self.probes_done = ticket;
        }
    }

    /// What the probe of a ticket, or a later one, has found.
    #[must_use]
    pub fn probe_for(&self, ticket: u32) -> Option<Probed> {
        if !is_reached(ticket, self.probes_done) {
            return None;
        }
        Probed::of_code(self.probe_code, self.probe_ms)
    }
}

/// Tickets wrap around: the half of all numbers before `done` is behind it.
fn is_reached(ticket: u32, done: u32) -> bool {
    done.wrapping_sub(ticket) <= u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(answer: Result<u16, ProbeError>, latency_ms: u64) -> Probed {
        Probed { answer, latency_ms }
    }

    #[test]
    fn a_ticket_waits_for_a_probe_that_began_behind_it() {
        let mut record = Record::default();
        assert_eq!(record.wanted_probe(), None);
        let first = record.want_probe();
        assert_eq!(record.wanted_probe(), Some(first));
        record.note_probe(None, &probed(Ok(200), 1));
        assert_eq!(record.probe_for(first), None, "it was under way before");
        let second = record.want_probe();
        record.note_probe(Some(first), &probed(Err(ProbeError::Timeout), 2000));
        assert_eq!(record.probe_for(first), Some(probed(Err(ProbeError::Timeout), 2000)));
        assert_eq!(record.probe_for(second), None);
        record.note_probe(Some(second), &probed(Ok(200), 12));
        record.note_probe(Some(first), &probed(Ok(503), 3));
        assert_eq!(record.wanted_probe(), None, "an old worker's late answer takes nothing back");
        assert_eq!(record.probe_for(second), Some(probed(Ok(503), 3)));
    }

    #[test]
    fn tickets_wrap_around_and_outlive_a_lost_record() {
        let mut record = Record::default();
        (record.probes_wanted, record.probes_done) = (u32::MAX, u32::MAX);
        let ticket = record.want_probe();
        assert_eq!((ticket, record.wanted_probe()), (0, Some(0)));
        record.note_probe(Some(ticket), &probed(Ok(204), 1));
        assert_eq!((record.wanted_probe(), record.probe_for(0)), (None, Some(probed(Ok(204), 1))));
        // The record was needed for something else while the probe was under way.
        let mut record = Record::default();
        record.note_probe(Some(7), &probed(Ok(200), 1));
        assert_eq!(record.wanted_probe(), None, "nobody asks for ever");
        assert_eq!(record.want_probe(), 8);
        assert_eq!(record.wanted_probe(), Some(8));
    }

    #[test]
    fn what_was_found_is_kept_and_named() {
        for (answer, result, up) in [
            (Ok(200), "ok", true),
            (Ok(401), "ok", true),
            (Ok(404), "ok", true),
            (Ok(429), "bad_status", false),
            (Ok(503), "bad_status", false),
            (Err(ProbeError::Connect), "connect", false),
            (Err(ProbeError::Tls), "tls", false),
            (Err(ProbeError::Timeout), "timeout", false),
            (Err(ProbeError::BadResponse), "bad_response", false),
        ] {
            let found = probed(answer, 42);
            assert_eq!((found.result(), found.is_up()), (result, up), "{answer:?}");
            let mut record = Record::default();
            let ticket = record.want_probe();
            record.note_probe(Some(ticket), &found);
            assert_eq!(record.probe_for(ticket), Some(found));
        }
        assert_eq!(Record::default().probe_for(0), None, "nothing was asked yet");
    }
}
