//! Does an answer cost what the rate card says, and the same with and without `stream`? Golden
//! files hold the lines of a card and what a provider tells (`.in`), and what it costs (`.out`).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use llm_core::cost::{
    Answer, Bill, CachedRateLine, End, Guess, RateCard, RateLine, RateLines, RateUnitLine, Served,
    UsageMissing, UsageSource, rate_card_version,
};
use llm_core::dialect::{Dialect, Endpoint};
use llm_core::stream::{EventStream, Options, Sink};
use llm_core::tap::JsonTap;
use llm_core::usage::Usage;

/// A client that is not looked at.
struct Client;

impl Sink for Client {
    fn pass(&mut self, _: Range<usize>) {}

    fn own(&mut self, _: &[u8]) {}
}

/// One golden file.
#[derive(Default)]
struct Golden {
    name: String,
    dialect: Dialect,
    provider: String,
    model: String,
    lines: RateLines,
    usage: String,
    output: String,
}

fn golden() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/cost");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "in"));
    paths.sort();
    assert!(paths.len() > 8, "the golden files are there");
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Golden {
    let mut golden = Golden {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        output: fs::read_to_string(path.with_extension("out")).unwrap(),
        ..Golden::default()
    };
    for line in fs::read_to_string(path).unwrap().lines() {
        let (name, rest) = line.split_once(' ').unwrap();
        let args: Vec<&str> = rest.split(' ').collect();
        match name {
            "dialect" => golden.dialect = Dialect::parse(rest).unwrap(),
            "provider" => rest.clone_into(&mut golden.provider),
            "model" => rest.clone_into(&mut golden.model),
            "usage" => rest.clone_into(&mut golden.usage),
            "llm_cost_rate" => golden.lines.rates.push(RateLine::parse(&args).unwrap()),
            "llm_cost_cached_rate" => {
                golden.lines.cached.push(CachedRateLine::parse(&args).unwrap());
            }
            "llm_cost_rate_unit" => golden.lines.units.push(RateUnitLine::parse(&args).unwrap()),
            "llm_cost_rate_card_version" => {
                golden.lines.version = Some(rate_card_version(&args).unwrap());
            }
            other => panic!("{other} in {}", path.display()),
        }
    }
    golden
}

impl Golden {
    fn bill(&self, usage: Usage) -> Bill {
        let card = RateCard::new(&self.lines).unwrap();
        let answer = Answer {
            status_code: 200,
            served: Served::Provider,
            end: End::Complete,
            usage,
            finished: true,
            estimate: Guess { input_tokens: 7, output_tokens: 7 },
            reserved: Guess { input_tokens: 9, output_tokens: 9 },
        };
        let rates = card.rates(&self.provider, &self.model);
        Bill::of(&answer, rates, UsageMissing::Estimate)
    }

    fn usage(&self) -> Usage {
        Usage::parse(self.usage.as_bytes(), self.dialect).unwrap()
    }

    /// The answer in one body.
    fn body(&self) -> String {
        let usage = &self.usage;
        match self.dialect {
            Dialect::OpenAi => format!(
                r#"{{"id":"a","object":"chat.completion","model":"m","choices":[{{"index":0,
                "message":{{"role":"assistant","content":"Hi"}},"finish_reason":"stop"}}],
                "usage":{usage}}}"#
            ),
            Dialect::Anthropic => format!(
                r#"{{"id":"a","type":"message","role":"assistant","model":"m",
                "content":[{{"type":"text","text":"Hi"}}],"stop_reason":"end_turn",
                "usage":{usage}}}"#
            ),
        }
    }

    /// The same answer as a stream. Anthropic tells the input first and the output at its end.
    fn stream(&self) -> String {
        let usage = &self.usage;
        let events = match self.dialect {
            Dialect::OpenAi => vec![
                r#"{"choices":[{"index":0,"delta":{"content":"Hi"}}]}"#.to_owned(),
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_owned(),
                format!(r#"{{"choices":[],"usage":{usage}}}"#),
                "[DONE]".to_owned(),
            ],
            Dialect::Anthropic => {
                let mut first: serde_json::Value = serde_json::from_str(usage).unwrap();
                let output = first.get_mut("output_tokens").unwrap();
                let last = std::mem::replace(output, 1.into());
                let delta = r#"{"type":"text_delta","text":"Hi"}"#;
                let stop = r#"{"stop_reason":"end_turn"}"#;
                let last = format!(r#"{{"output_tokens":{last}}}"#);
                vec![
                    format!(r#"{{"type":"message_start","message":{{"usage":{first}}}}}"#),
                    format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#),
                    format!(r#"{{"type":"message_delta","delta":{stop},"usage":{last}}}"#),
                    r#"{"type":"message_stop"}"#.to_owned(),
                ]
            }
        };
        events.iter().map(|event| format!("data: {event}\n\n")).collect()
    }

    fn endpoint(&self) -> Endpoint {
        match self.dialect {
            Dialect::OpenAi => Endpoint::Chat,
            Dialect::Anthropic => Endpoint::Messages,
        }
    }
}

#[test]
fn golden_answers_cost_what_the_card_says() {
    for golden in golden() {
        let card = RateCard::new(&golden.lines).unwrap();
        let bill = golden.bill(golden.usage());
        let mut text = String::new();
        match bill.cost {
            Some(cost) => {
                let (prompt, completion, total) = (cost.prompt, cost.completion, cost.total);
                write!(text, "prompt {prompt}\ncompletion {completion}\ntotal {total}\n").unwrap();
            }
            None => writeln!(text, "status {}", bill.status.name()).unwrap(),
        }
        writeln!(text, "unit {}", card.unit(&golden.provider)).unwrap();
        let version = format!("rate_card_version {}", card.version().unwrap_or_default());
        writeln!(text, "{}", version.trim_end()).unwrap();
        assert_eq!(text, golden.output, "{}", golden.name);
        assert!(!bill.tokens.inconsistent, "{}", golden.name);
        assert_eq!(bill.source, UsageSource::Reported, "{}", golden.name);
    }
}

#[test]
fn an_answer_costs_the_same_with_and_without_stream() {
    for golden in golden() {
        let name = &golden.name;
        let expected = golden.bill(golden.usage());
        let body = golden.body();
        for size in [1, 7, body.len()] {
            let mut tap = JsonTap::new(golden.dialect, None);
            for piece in body.as_bytes().chunks(size) {
                tap.feed(piece, &mut Client);
            }
            assert_eq!(golden.bill(tap.usage().unwrap()), expected, "{name} at once");
        }
        let stream = golden.stream();
        for size in [1, 7, stream.len()] {
            let options = Options::new(golden.dialect, golden.endpoint());
            let mut events = EventStream::new(options);
            for piece in stream.as_bytes().chunks(size) {
                events.feed(piece, &mut Client);
            }
            events.finish(&mut Client);
            assert_eq!(golden.bill(events.state().usage), expected, "{name} as a stream");
        }
    }
}
