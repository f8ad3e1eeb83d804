//! How is a running gateway asked? Over HTTP at its status address, which is for the machine itself.

use std::time::Duration;

use ureq::Agent;

/// Where the rendered configuration has it.
pub const URL: &str = "http://127.0.0.1:9180/llm/status";

/// Larger answers are not ours.
const MAX_BYTES: u64 = 64 << 20;

fn agent(wait: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(wait))
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .into()
}

/// The body of an answer with status 200.
pub fn get(url: &str, wait: Duration) -> Result<String, String> {
    let response = agent(wait).get(url).header("Accept", "application/json, text/plain").call();
    body(url, response)
}

/// Asks for something to be done.
pub fn post(url: &str, wait: Duration) -> Result<String, String> {
    body(url, agent(wait).post(url).header("Accept", "application/json").send_empty())
}

fn body(
    url: &str,
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<String, String> {
    let mut response = response.map_err(|why| {
        format!(
            "{url} does not answer: {why}; is nginx running, and is its llm_status there? \
             --status says where"
        )
    })?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(MAX_BYTES).read_to_string();
    let text = text.map_err(|why| format!("{url} breaks off: {why}"))?;
    if status == 200 || status == 202 || status == 204 {
        return Ok(text);
    }
    let said = serde_json::from_str::<serde_json::Value>(&text).ok();
    let said = said
        .as_ref()
        .and_then(|value| value.pointer("/error/message"))
        .and_then(serde_json::Value::as_str);
    let said = match said {
        Some(text) => format!(": {text}"),
        // nginx itself: there is no llm_status, or `allow` and `deny` say no.
        None => ", is llm_status there, and may this machine ask? --status says where".to_owned(),
    };
    Err(format!("{url} answers {status}{said}"))
}
