//! `llmctl probe`, `drain` and `undrain`: one provider of a running gateway.
//!
//! What is asked of the gateway: `POST <status>/probe?provider=NAME` sends one probe now and answers
//! `{"provider","state","latency_ms"}`; `POST <status>/drain?provider=NAME` benches the provider until
//! `POST <status>/undrain?provider=NAME`, and both answer `{"provider","state"}`. An unknown provider is
//! 404 with `{"error":{"message"}}`.

use std::io::Write;
use std::time::Duration;

use serde_json::Value;

use super::{Done, Failure};
use crate::status;

/// A probe may wait for a provider.
const WAIT: Duration = Duration::from_secs(30);

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
    let state = answer.get("state").and_then(Value::as_str).unwrap_or("done");
    let latency = answer.get("latency_ms").and_then(Value::as_u64);
    let latency = latency.map_or(String::new(), |ms| format!(", {ms} ms"));
    writeln!(out, "provider \"{provider}\": {state}{latency}")?;
    Ok(if state == "failed" { Done::Found } else { Done::Well })
}
