//! `llmctl probe`, `drain` and `undrain`: one provider of a running gateway.
//!
//! What is asked of the gateway: `POST <status>/probe?provider=NAME` sends one probe now and answers when it
//! is over, with `{"provider","state","result","status","latency_ms"}`; `POST <status>/drain?provider=NAME`
//! benches the provider until `POST <status>/undrain?provider=NAME`, and both answer
//! `{"provider","state"}`. An unknown provider is 404, one without a probe 409, with
//! `{"error":{"message"}}`.

use std::io::Write;
use std::time::Duration;

use serde_json::Value;

use super::{Done, Failure};
use crate::status;

/// The gateway has given up on a probe long before: it waits for twice the probe's own timeout.
const WAIT: Duration = Duration::from_secs(300);

/// `llmctl probe`, `drain` and `undrain`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The provider's name
    pub provider: String,
    /// Where the gateway's status is
    #[arg(long, value_name = "URL", default_value = status::URL)]
    pub status: String,
}

/// Runs one of them.
pub fn run(action: &str, args: &Args, out: &mut dyn Write) -> Result<Done, Failure> {
    let provider = &args.provider;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if provider.is_empty() || !provider.bytes().all(fits) {
        let name = provider.escape_debug();
        return Err(Failure::new(format!("\"{name}\" is no provider's name")));
    }
    let base = args.status.trim_end_matches('/');
    let text = status::post(&format!("{base}/{action}?provider={provider}"), WAIT)?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    let word = |field: &str| answer.get(field).and_then(Value::as_str);
    let Some(state) = word("state") else {
        return Err(Failure::new(format!("\"{base}\" is no status of a gateway, see llm_status")));
    };
    if action != "probe" {
        writeln!(out, "provider \"{provider}\": {state}")?;
        return Ok(Done::Well);
    }
    let Some(result) = word("result") else {
        return Err(Failure::new(format!("the gateway at \"{base}\" tells no result of a probe")));
    };
    let number = |field: &str| answer.get(field).and_then(Value::as_u64);
    let status = number("status").map_or(String::new(), |status| format!(" with {status}"));
    let ms = number("latency_ms").unwrap_or(0);
    let (works, found) = match result {
        "ok" => (true, format!("works, it answered{status}")),
        "bad_status" => (false, format!("does not work, it answered{status}")),
        "connect" => (false, "does not work, there was no connection".to_owned()),
        "tls" => {
            let text = "does not work, TLS failed or the certificate is not its own: no answer";
            (false, text.to_owned())
        }
        "timeout" => (false, "does not work, it did not answer".to_owned()),
        other => (false, format!("does not work, its answer is broken ({})", other.escape_debug())),
    };
    writeln!(out, "provider \"{provider}\" {found} within {ms} ms; {}", meaning(state))?;
    Ok(if works { Done::Well } else { Done::Found })
}

/// What a state means for requests.
fn meaning(state: &str) -> &str {
    match state {
        "up" => "requests go to it",
        "benched" => "it is benched until a probe goes well",
        "drained" => "it is drained, undrain puts it back",
        other => other,
    }
}
