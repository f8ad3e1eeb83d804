//! Do streams and answers of every dialect come through as they should, however they are cut? Golden
//! files hold what a provider sends (`.in`), what the client gets (`.out`, if it differs) and what
//! was understood (`.state`, whose first line says how the stream was read).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod wire;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use llm_core::dialect::{Dialect, Endpoint};
use llm_core::stream::{BodyEnd, EventStream, Opening, Options, StreamState, Verdict};
use llm_core::tap::JsonTap;
use llm_core::usage::Usage;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use wire::{Client, cut, events};

/// A byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// One golden file.
struct Golden {
    name: String,
    input: Vec<u8>,
    output: Vec<u8>,
    options: Options,
    state: String,
}

fn golden(folder: &str) -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(folder);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "in"));
    paths.sort();
    assert!(paths.len() > 10, "the golden files are there");
    paths.iter().map(|path| read_golden(path)).collect()
}

fn read_golden(path: &Path) -> Golden {
    let input = fs::read(path).unwrap();
    let state = fs::read_to_string(path.with_extension("state")).unwrap();
    let (options, state) = state.split_once('\n').unwrap();
    let words = options.strip_prefix("options: ").unwrap();
    let mut options = Options::new(Dialect::OpenAi, Endpoint::Other);
    let (words, model) = match words.split_once(" model=") {
        Some((words, model)) => (words, Some(model.to_owned())),
        None => (words, None),
    };
    options.model = model;
    for word in words.split(' ') {
        match word {
            "openai" | "anthropic" => options.dialect = Dialect::parse(word).unwrap(),
            "chat" => options.endpoint = Endpoint::Chat,
            "completions" => options.endpoint = Endpoint::Completions,
            "responses" => options.endpoint = Endpoint::Responses,
            "messages" => options.endpoint = Endpoint::Messages,
            "other" => options.endpoint = Endpoint::Other,
            "strip" => options.strip_usage = true,
            _ => options.max_event_bytes = word.strip_prefix("max=").unwrap().parse().unwrap(),
        }
    }
    Golden {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        output: fs::read(path.with_extension("out")).unwrap_or_else(|_| input.clone()),
        input,
        options,
        state: state.to_owned(),
    }
}

/// Feeds `pieces` and returns what the client got.
fn run(options: &Options, pieces: &[&[u8]]) -> (Vec<u8>, StreamState) {
    let mut stream = EventStream::new(options.clone());
    let mut client = Client::default();
    for piece in pieces {
        client.next_chunk(piece);
        stream.feed(piece, &mut client);
        assert!(stream.held_bytes() <= options.max_event_bytes);
    }
    client.next_chunk(b"");
    stream.finish(&mut client);
    (client.received, stream.state().clone())
}

/// The same in a form that a failing test can show.
fn readable(options: &Options, pieces: &[&[u8]]) -> (String, String) {
    let (received, state) = run(options, pieces);
    (received.escape_ascii().to_string(), describe_state(&state))
}

fn run_tap(options: &Options, pieces: &[&[u8]]) -> (Vec<u8>, String, u64) {
    let mut tap = JsonTap::new(options.dialect, options.model.as_deref());
    let mut client = Client::default();
    for piece in pieces {
        client.next_chunk(piece);
        tap.feed(piece, &mut client);
    }
    let mut text = format!("whole: {}\n", tap.is_whole());
    if let Some(error) = tap.error() {
        writeln!(text, "error: {} {} {:?}", error.code, error.kind, error.message).unwrap();
    }
    if let Some(usage) = tap.usage() {
        text.push_str(&describe(&usage));
    }
    (client.received, text, tap.content_bytes())
}

fn describe_state(state: &StreamState) -> String {
    let mut text = format!(
        "events: {}\ncontent: {}\nfinished: {}\nmarker: {}\nmalformed: {}\noversized: {}\n",
        state.events, state.content, state.finished, state.marker, state.malformed, state.oversized
    );
    let verdict = match state.verdict() {
        Verdict::More => "more",
        Verdict::Content => "content",
        Verdict::Error(_) => "error",
        Verdict::Ended => "ended",
    };
    writeln!(text, "verdict: {verdict}").unwrap();
    if let Some(error) = &state.error {
        writeln!(text, "error: {} {} {:?}", error.code, error.kind, error.message).unwrap();
    }
    text.push_str(&describe(&state.usage));
    text
}

fn describe(usage: &Usage) -> String {
    let mut text = String::new();
    if usage.is_empty() {
        return text;
    }
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let buckets = usage.buckets();
    writeln!(
        text,
        "tokens: prompt {} completion {} total {}",
        number(usage.prompt_tokens()),
        number(usage.completion_tokens()),
        number(usage.total_tokens())
    )
    .unwrap();
    writeln!(
        text,
        "buckets: uncached {} read {} write {} hour {} output {}",
        buckets.uncached_input,
        buckets.cache_read,
        buckets.cache_write_5m,
        buckets.cache_write_1h,
        buckets.output
    )
    .unwrap();
    writeln!(
        text,
        "parts: reasoning {} audio {} {} image {}",
        number(usage.reasoning_tokens()),
        number(usage.audio_input_tokens()),
        number(usage.audio_output_tokens()),
        number(usage.image_input_tokens())
    )
    .unwrap();
    text
}

#[test]
fn golden_streams_come_through_as_written() {
    for golden in golden("stream") {
        let (received, state) = run(&golden.options, &[&golden.input]);
        assert_eq!(
            String::from_utf8_lossy(&received),
            String::from_utf8_lossy(&golden.output),
            "{}",
            golden.name
        );
        assert_eq!(describe_state(&state), golden.state, "{}", golden.name);
    }
}

#[test]
fn golden_streams_do_not_care_where_they_are_cut() {
    for golden in golden("stream") {
        let whole = run(&golden.options, &[&golden.input]);
        for at in 0..=golden.input.len() {
            let halves = run(&golden.options, &cut(&golden.input, [at]));
            assert!(halves == whole, "{} cut at {at}", golden.name);
        }
        for size in [1, 2, 3, 7, 64, 255] {
            let pieces: Vec<&[u8]> = golden.input.chunks(size).collect();
            assert!(run(&golden.options, &pieces) == whole, "{} by {size}", golden.name);
        }
    }
}

#[test]
fn golden_answers_come_through_however_they_are_cut() {
    for golden in golden("answer") {
        let whole = run_tap(&golden.options, &[&golden.input]);
        assert_eq!(
            String::from_utf8_lossy(&whole.0),
            String::from_utf8_lossy(&golden.output),
            "{}",
            golden.name
        );
        assert_eq!(whole.1, golden.state, "{}", golden.name);
        for at in 0..=golden.input.len() {
            let halves = run_tap(&golden.options, &cut(&golden.input, [at]));
            assert!(halves == whole, "{} cut at {at}", golden.name);
        }
        let pieces: Vec<&[u8]> = golden.input.chunks(1).collect();
        assert!(run_tap(&golden.options, &pieces) == whole, "{} by bytes", golden.name);
    }
}

/// Events as providers write them, and bytes as nobody should.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let mut known: Vec<Vec<u8>> = golden("stream")
        .iter()
        .flat_map(|golden| {
            let text = String::from_utf8(golden.input.clone()).unwrap();
            text.split_inclusive("\n\n").map(|event| event.as_bytes().to_vec()).collect::<Vec<_>>()
        })
        .collect();
    known.sort();
    known.dedup();
    let line_ends = select(vec!["\n", "\r\n", "\r"]);
    let event = (select(known), line_ends).prop_map(|(event, line_end)| {
        String::from_utf8(event).unwrap().replace('\n', line_end).into_bytes()
    });
    let odd = select(vec![
        "\n",
        "\r",
        "\r\n",
        ":",
        ": note\n",
        ": note\n\n",
        "data",
        "data:",
        "data: ",
        "{",
        "}",
        "\"",
        "\\",
        "[DONE]",
        "event: error\n",
        "\0",
        "\u{feff}",
        "data: {}\n\n",
        "data:{\ndata:}\n\n",
        "data: {\"model\":\"m\"}\n\n",
    ]);
    prop_oneof![
        4 => event,
        3 => odd.prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..9),
    ]
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(fragment(), 0..24).prop_map(|fragments| fragments.concat())
}

fn any_options() -> impl Strategy<Value = Options> {
    let endpoints = vec![Endpoint::Chat, Endpoint::Responses, Endpoint::Messages, Endpoint::Other];
    let limit = prop_oneof![Just(1024 * 1024), 0_usize..600];
    let model = proptest::option::of(select(vec!["m", "public \"name\" \u{2603}"]));
    (select(endpoints), any::<bool>(), model, limit).prop_map(|(endpoint, strip, model, limit)| {
        Options {
            dialect: endpoint.dialect().unwrap_or_default(),
            endpoint,
            strip_usage: strip,
            model: model.map(str::to_owned),
            max_event_bytes: limit,
        }
    })
}

/// Sorted positions in a text of `length`.
fn positions(cuts: &[Index], length: usize) -> Vec<usize> {
    let mut positions: Vec<usize> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    positions.sort_unstable();
    positions
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_reads_the_same_however_it_is_cut(
        stream in any_stream(),
        options in any_options(),
        cuts in proptest::collection::vec(any::<Index>(), 0..40),
    ) {
        let whole = readable(&options, &[&stream]);
        let pieces = cut(&stream, positions(&cuts, stream.len()));
        prop_assert_eq!(&readable(&options, &pieces), &whole);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&readable(&options, &bytes), &whole);
    }

    #[test]
    fn a_comment_may_be_inserted_whenever_the_filter_says_so(
        stream in any_stream(),
        options in any_options(),
        cuts in proptest::collection::vec(any::<Index>(), 0..40),
    ) {
        let mut filter = EventStream::new(options.clone());
        let mut client = Client::default();
        client.received.extend_from_slice(b": heartbeat\n\n");
        for piece in cut(&stream, positions(&cuts, stream.len())) {
            client.next_chunk(piece);
            filter.feed(piece, &mut client);
            if filter.between_events() {
                client.received.extend_from_slice(b": heartbeat\n\n");
            }
        }
        client.next_chunk(b"");
        filter.finish(&mut client);
        let undisturbed = run(&options, &[&stream]).0;
        // A mark in the middle means nothing until what stood before it is dropped.
        prop_assume!(!undisturbed.starts_with(MARK));
        prop_assert_eq!(events(&client.received), events(&undisturbed));
    }

    #[test]
    fn what_a_client_would_understand_is_kept(stream in any_stream()) {
        let options = Options::new(Dialect::OpenAi, Endpoint::Other);
        let (received, _) = run(&options, &[&stream]);
        prop_assume!(!received.starts_with(MARK));
        let sent = events(&stream);
        let got = events(&received);
        prop_assert_eq!(got.get(..sent.len()).unwrap_or(&got), &sent[..]);
        prop_assert!(got.len() <= sent.len() + 1, "only an unfinished last event may be added");
    }

    #[test]
    fn any_answer_passes_the_tap_the_same_however_it_is_cut(
        text in "\\{(\"(model|usage|error|x|choices|content|text|input)\":|\"a\\\\\"\"|\
            [\\[{}\\]\"\\\\,:]|[a-c]{0,40}|,?\"(model|usage|error|x|choices|content|text)\":(\"[a-c]{0,9}\"|-?1|true|null|[{]\"prompt_tokens\":[1-9][}]|\\[[{][}]\\]) ?){0,30}",
        model in proptest::option::of(Just("m")),
        cuts in proptest::collection::vec(any::<Index>(), 0..20),
    ) {
        let options = Options {
            model: model.map(str::to_owned),
            ..Options::new(Dialect::OpenAi, Endpoint::Chat)
        };
        let whole = run_tap(&options, &[text.as_bytes()]);
        if model.is_none() {
            prop_assert_eq!(&whole.0, text.as_bytes());
        }
        let pieces = cut(text.as_bytes(), positions(&cuts, text.len()));
        prop_assert_eq!(&run_tap(&options, &pieces), &whole);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        prop_assert_eq!(run_tap(&options, &bytes), whole);
    }
}

#[test]
fn streams_that_need_no_change_pass_byte_for_byte() {
    for golden in golden("stream") {
        let options = Options { model: None, strip_usage: false, ..golden.options };
        let (received, state) = run(&options, &[&golden.input]);
        if state.malformed == 0 && golden.input.ends_with(b"\n\n") {
            assert_eq!(received, golden.input, "{}", golden.name);
        }
    }
}

#[test]
fn an_endless_line_passes_in_bounded_memory() {
    let options =
        Options { max_event_bytes: 4096, ..Options::new(Dialect::OpenAi, Endpoint::Chat) };
    let mut stream = EventStream::new(options);
    let mut client = Client::default();
    let mut sent = Vec::new();
    for number in 0..2000_u32 {
        let chunk = if number == 0 { b"data: {\"a\":\"".to_vec() } else { vec![b'x'; 1000] };
        client.next_chunk(&chunk);
        stream.feed(&chunk, &mut client);
        sent.extend_from_slice(&chunk);
        assert!(stream.held_bytes() <= 4096);
    }
    assert_eq!(client.received, sent);
    assert_eq!(stream.state().oversized, 1);
    assert!(!stream.between_events());
    let end = b"\"}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n";
    client.next_chunk(end);
    stream.feed(end, &mut client);
    sent.extend_from_slice(end);
    assert_eq!(client.received, sent);
    assert!(stream.between_events());
    assert!(stream.state().is_complete(BodyEnd::Cut));
}

#[test]
fn a_long_last_event_without_blank_line_is_ended() {
    let options =
        Options { max_event_bytes: 16, ..Options::new(Dialect::OpenAi, Endpoint::Responses) };
    let stream = b"data: {\"type\":\"response.completed\",\"response\":{}}";
    let (received, state) = run(&options, &[stream]);
    assert_eq!(received, [&stream[..], b"\n\n"].concat());
    assert!(state.marker);
    let (received, state) = run(&options, &[&stream[..stream.len() - 1]]);
    assert_eq!(received, &stream[..stream.len() - 1]);
    assert!(!state.marker);
}

#[test]
fn a_name_without_end_takes_no_line_end_with_it() {
    let options = Options {
        max_event_bytes: 16,
        model: Some("other".into()),
        ..Options::new(Dialect::OpenAi, Endpoint::Chat)
    };
    let stream = b"data: {\"a\":true,\"model\":\"some\r\n\r\ndata: {}\r\n\r\n";
    for size in 1..stream.len() {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        let (received, _) = run(&options, &pieces);
        let expected = "data: {\"a\":true,\"model\":\"other\"\r\n\r\ndata: {}\r\n\r\n";
        assert_eq!(String::from_utf8(received).unwrap(), expected);
    }
}

#[test]
fn an_event_that_is_not_text_is_dropped() {
    let options = Options::new(Dialect::OpenAi, Endpoint::Chat);
    for data in [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":\"\0\"}", b"{\"a\":\"\xed\xa0\x80\"}", b"\0"] {
        let stream = [b"data: ", data, b"\n\n"].concat();
        let (received, state) = run(&options, &[&stream]);
        assert_eq!(received, b"");
        assert_eq!(state.malformed, 1);
    }
}

#[test]
fn a_finish_reason_needs_a_clean_end() {
    let stream = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let (_, state) = run(&Options::new(Dialect::OpenAi, Endpoint::Chat), &[stream]);
    assert!(state.is_complete(BodyEnd::Clean));
    assert!(!state.is_complete(BodyEnd::Cut));
}

#[test]
fn the_opening_is_decided_by_the_event_that_comes_first() {
    let role = b"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let text = b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let error = b"data: {\"error\":{\"message\":\"no\",\"code\":\"c\"}}\n\n";
    let open = |bytes: &[&[u8]]| {
        let mut opening = Opening::new(Dialect::OpenAi, Endpoint::Chat);
        opening.feed(&bytes.concat())
    };
    assert_eq!(open(&[role, b": wait\n\n", &text[..20]]), Verdict::More);
    assert_eq!(open(&[role, text, error]), Verdict::Content);
    assert!(matches!(open(&[role, error, text]), Verdict::Error(error) if error.code == "c"));
    assert_eq!(open(&[role, b"data: [DONE]\n\n", text]), Verdict::Ended);
}

#[test]
fn the_text_of_every_dialect_is_counted_for_an_estimate() {
    let cases: [(Dialect, Endpoint, &[u8], u64); 4] = [
        (
            Dialect::OpenAi,
            Endpoint::Chat,
            b"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"}}]}\n\n\
              data: {\"choices\":[{\"delta\":{\"content\":\" you\"}},{\"delta\":{\"content\":\"!!\"}}]}\n\n",
            11,
        ),
        (
            Dialect::OpenAi,
            Endpoint::Completions,
            b"data: {\"choices\":[{\"text\":\"abc\"}]}\n\n",
            3,
        ),
        (
            Dialect::OpenAi,
            Endpoint::Responses,
            b"data: {\"type\":\"response.output_text.delta\",\"delta\":\"four\"}\n\n",
            4,
        ),
        (
            Dialect::Anthropic,
            Endpoint::Messages,
            b"data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"12345\"}}\n\n\
              data: {\"type\":\"ping\"}\n\n",
            5,
        ),
    ];
    for (dialect, endpoint, stream, bytes) in cases {
        let (_, state) = run(&Options::new(dialect, endpoint), &[stream]);
        assert_eq!(state.content_bytes, bytes, "{endpoint:?}");
    }
}
