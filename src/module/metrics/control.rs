//! `POST <status>/drain?provider=NAME`, `/undrain` and `/probe`: what `llmctl` asks for. The first two are
//! answered at once with `{"provider","state"}`; a probe is answered when it is over, with its `result`
//! (`ok`, `bad_status` or why there is no status), `status` and `latency_ms` beside them.

use std::time::Duration;

use llm_core::health::Probed;
use serde_json::{Value, json};

use crate::ffi::later::Awaited;
use crate::ffi::{Request, now_ms};
use crate::health::{self, ProviderIs};

const KIND: &str = "application/json";

/// Does what is asked for.
pub fn control(r: Request<'_>) -> isize {
    if r.header("origin").is_some() {
        return error(r, 403, "a page of a browser may look, and change nothing");
    }
    let action = r.path().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if !matches!(action, b"drain" | b"undrain" | b"probe") {
        return error(r, 404, "POST to drain, undrain or probe below this address");
    }
    let asked = r.argument("provider").unwrap_or_default();
    // As it is written in the configuration: case does not matter here, as it does not in requests.
    let mut compiled = r.main_conf().compiled.iter();
    let name = std::str::from_utf8(asked).ok().and_then(|asked| {
        compiled.find_map(|compiled| {
            let index = compiled.routes.provider_index(asked)?;
            Some(compiled.routes.provider(index)?.name.clone())
        })
    });
    let Some(name) = name else {
        return error(r, 404, "there is no provider of that name");
    };
    if action == b"probe" {
        return probe(r, name);
    }
    match health::tell(r, &name, |record| record.drain(action == b"drain")) {
        Some(()) => answer(r, 200, &json!({"provider": name, "state": state(r, &name)})),
        None => no_room(r),
    }
}

fn probe(r: Request<'_>, provider: String) -> isize {
    let mut probes = r.main_conf().probes.iter();
    let Some(probe) = probes.find(|probe| probe.target.provider == provider) else {
        let text = format!(
            "provider \"{provider}\" has no \"llm_fallback_probe\", add one: only it says what to ask"
        );
        return error(r, 409, &text);
    };
    let longest = probe.longest_wait();
    let Some(ticket) = health::tell(r, &provider, |record| record.want_probe()) else {
        return no_room(r);
    };
    let until_ms = now_ms().saturating_add(millis(longest));
    r.answer_later(Probe { provider, ticket, until_ms, longest })
}

/// A probe that was asked for.
struct Probe {
    provider: String,
    ticket: u32,
    /// Of nginx's clock for timers.
    until_ms: u64,
    longest: Duration,
}

impl Awaited for Probe {
    fn answer(&self, r: Request<'_>) -> Option<isize> {
        let Self { provider, ticket, until_ms, longest } = self;
        match health::probe_for(r, provider, *ticket) {
            Some(found) => {
                let Probed { answer: status, latency_ms } = found;
                let report = json!({
                    "provider": provider,
                    "state": state(r, provider),
                    "result": found.result(),
                    "status": status.ok(),
                    "latency_ms": latency_ms,
                });
                Some(answer(r, 200, &report))
            }
            None if now_ms() < *until_ms => None,
            None => {
                let text = format!(
                    "no probe of \"{provider}\" has ended within {} s, see nginx's error log and try again",
                    longest.as_secs()
                );
                Some(error(r, 504, &text))
            }
        }
    }
}

/// Whether requests are sent to a provider.
fn state(r: Request<'_>, provider: &str) -> &'static str {
    match health::provider_is(r, provider) {
        ProviderIs::In => "up",
        ProviderIs::Down(_) => "benched",
        ProviderIs::Drained => "drained",
    }
}

fn no_room(r: Request<'_>) -> isize {
    error(r, 503, "the zone of health has no room, make llm_fallback_zone larger")
}

fn error(r: Request<'_>, status: u16, message: &str) -> isize {
    answer(r, status, &json!({"error": {"message": message}}))
}

fn answer(r: Request<'_>, status: u16, report: &Value) -> isize {
    r.answer(status, KIND, report.to_string().as_bytes())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
