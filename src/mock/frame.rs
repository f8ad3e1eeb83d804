//! Which bytes go over the wire for a reply, and in which writes?

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::answer::{Fault, Framing};
use crate::reply::{Manner, Reply};

/// How many bytes a short body lacks.
const SHORTFALL_BYTES: usize = 100;
const BIG_HEADERS: usize = 16;
const BIG_HEADER_BYTES: usize = 1024;

/// What the request's head implies for the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// HTTP/1.x.
    pub minor_version: u8,
    pub keep_alive: bool,
    pub is_head: bool,
}

/// A reply as bytes.
#[derive(Debug)]
pub struct Framed {
    /// The head; the whole reply, if nothing has to come between head and body.
    pub head: Bytes,
    /// Each is written by itself.
    pub frames: Vec<Bytes>,
    /// What follows the last frame; faults leave it out.
    pub end: Bytes,
    pub keep_alive: bool,
    pub manner: Manner,
}

pub fn frame(mut reply: Reply, exchange: Exchange) -> io::Result<Framed> {
    let mut manner = reply.manner;
    let mut end = Vec::new();
    if reply.gzip {
        (reply.pieces, end) = compress(&reply.pieces)?;
        reply.headers.push(("content-encoding".into(), "gzip".into()));
    }
    if matches!(manner.fault, Fault::Stall | Fault::Cut | Fault::CutReset) && !reply.is_stream {
        // A plain body is two events: its halves.
        manner.after = manner.after.min(1);
        halve(&mut reply.pieces);
    }
    let framing = framing(&reply, exchange);
    if manner.fault == Fault::Cut && framing == Framing::Close {
        manner.fault = Fault::CutReset;
    }
    let keep_alive =
        exchange.keep_alive && framing != Framing::Close && manner.fault != Fault::ShortLength;
    let length = reply.pieces.iter().map(Vec::len).sum::<usize>() + end.len();
    let mut head = head(&reply, exchange, framing, length, keep_alive);

    if exchange.is_head || has_no_body(reply.status) {
        (reply.pieces, end) = (Vec::new(), Vec::new());
    } else if framing == Framing::Chunked {
        reply.pieces.retain(|piece| !piece.is_empty());
        reply.pieces.iter_mut().for_each(|piece| *piece = chunk(piece));
        if !end.is_empty() {
            end = chunk(&end);
        }
        end.extend_from_slice(b"0\r\n\r\n");
    }
    let is_divided = matches!(
        manner.fault,
        Fault::Stall | Fault::Cut | Fault::CutReset | Fault::Trickle | Fault::EndlessLine
    );
    if !reply.is_stream && !is_divided && manner.first_ms == 0 {
        reply.pieces.drain(..).for_each(|piece| head.extend_from_slice(&piece));
        head.append(&mut end);
    }
    Ok(Framed {
        head: head.into(),
        frames: reply.pieces.into_iter().map(Bytes::from).collect(),
        end: end.into(),
        keep_alive,
        manner,
    })
}

fn framing(reply: &Reply, exchange: Exchange) -> Framing {
    let usual = if reply.is_stream { Framing::Chunked } else { Framing::Length };
    match (reply.manner.fault, reply.framing.unwrap_or(usual)) {
        (Fault::ShortLength, _) => Framing::Length,
        (Fault::EndlessLine, Framing::Length) => Framing::Close,
        // HTTP/1.0 knows no chunks.
        (_, Framing::Chunked) if exchange.minor_version == 0 => Framing::Close,
        (_, framing) => framing,
    }
}

fn head(
    reply: &Reply,
    exchange: Exchange,
    framing: Framing,
    length: usize,
    keep_alive: bool,
) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status));
    let mut add = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    };
    for (name, value) in &reply.headers {
        add(name, value);
    }
    let is_given = |name: &str| reply.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    match framing {
        _ if has_no_body(reply.status) => {}
        Framing::Length if !is_given("content-length") => {
            let is_short = reply.manner.fault == Fault::ShortLength;
            let promised = if is_short { length + SHORTFALL_BYTES } else { length };
            add("content-length", &promised.to_string());
        }
        Framing::Chunked if !is_given("transfer-encoding") => add("transfer-encoding", "chunked"),
        _ => {}
    }
    if !is_given("connection") {
        match (keep_alive, exchange.minor_version) {
            (false, _) => add("connection", "close"),
            (true, 0) => add("connection", "keep-alive"),
            (true, _) => {}
        }
    }
    if reply.manner.fault == Fault::BigHead {
        for number in 0..BIG_HEADERS {
            add(&format!("x-padding-{number}"), &"x".repeat(BIG_HEADER_BYTES));
        }
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Each piece ends on a flush, so that its event can be read before the next one is sent.
fn compress(pieces: &[Vec<u8>]) -> io::Result<(Vec<Vec<u8>>, Vec<u8>)> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut compressed = Vec::with_capacity(pieces.len());
    for piece in pieces {
        encoder.write_all(piece)?;
        encoder.flush()?;
        compressed.push(std::mem::take(encoder.get_mut()));
    }
    Ok((compressed, encoder.finish()?))
}

fn halve(pieces: &mut Vec<Vec<u8>>) {
    if let [whole] = pieces.as_mut_slice() {
        let second = whole.split_off(whole.len() / 2);
        pieces.push(second);
    }
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

fn has_no_body(status: u16) -> bool {
    matches!(status, 204 | 304)
}

fn reason(status: u16) -> &'static str {
    hyper::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Scripted")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::answer::Answer;
    use crate::endpoint::{Asked, Endpoint};
    use crate::reply;

    const MODERN: Exchange = Exchange { minor_version: 1, keep_alive: true, is_head: false };
    const OLD: Exchange = Exchange { minor_version: 0, keep_alive: false, is_head: false };
    const STREAM: &str = r#"{"stream":true}"#;

    fn framed(answer: &str, body: &str, exchange: Exchange) -> Framed {
        let answer = Answer::parse(answer.as_bytes()).unwrap();
        let asked = Asked::new(Endpoint::Chat, body.as_bytes());
        frame(reply::build(&answer, &asked, "first", 1), exchange).unwrap()
    }

    fn head(framed: &Framed) -> String {
        String::from_utf8(framed.head.to_vec()).unwrap()
    }

    #[test]
    fn a_plain_reply_is_one_write() {
        let framed = framed("{}", "{}", MODERN);
        assert!(framed.frames.is_empty() && framed.end.is_empty() && framed.keep_alive);
        assert!(head(&framed).contains("content-length: ") && head(&framed).ends_with('}'));
    }

    #[test]
    fn every_event_is_a_chunk_of_its_own() {
        let framed = framed("{}", STREAM, MODERN);
        assert_eq!(framed.frames.len(), 6);
        assert!(framed.frames.iter().all(|frame| frame.ends_with(b"\n\n\r\n")));
        assert_eq!(framed.end, "0\r\n\r\n");
    }

    #[test]
    fn an_old_client_gets_no_chunks() {
        let framed = framed("{}", STREAM, OLD);
        assert!(!head(&framed).contains("chunked") && head(&framed).contains("connection: close"));
        assert!(framed.end.is_empty() && !framed.keep_alive);
    }

    #[test]
    fn a_cut_that_would_look_like_the_end_becomes_a_reset() {
        assert_eq!(framed(r#"{"fault":"cut"}"#, STREAM, MODERN).manner.fault, Fault::Cut);
        assert_eq!(framed(r#"{"fault":"cut"}"#, STREAM, OLD).manner.fault, Fault::CutReset);
    }

    #[test]
    fn each_compressed_event_can_be_read_at_once() {
        let framed = framed(r#"{"gzip":true,"framing":"close"}"#, STREAM, MODERN);
        assert!(head(&framed).contains("content-encoding: gzip"));
        let mut text = vec![0; "data: {".len()];
        flate2::read::GzDecoder::new(&framed.frames[0][..]).read_exact(&mut text).unwrap();
        assert_eq!(text, b"data: {");
        let mut whole = framed.frames.concat();
        whole.extend_from_slice(&framed.end);
        let mut text = String::new();
        flate2::read::GzDecoder::new(&whole[..]).read_to_string(&mut text).unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"));
    }

    #[test]
    fn a_plain_body_is_cut_in_the_middle() {
        let framed = framed(r#"{"fault":"cut","after":40}"#, "{}", MODERN);
        assert_eq!((framed.frames.len(), framed.manner.after), (2, 1));
    }

    #[test]
    fn a_scripted_length_is_sent_as_it_is() {
        let framed = framed(r#"{"body":"abc","headers":{"Content-Length":"7"}}"#, "{}", MODERN);
        assert!(head(&framed).contains("Content-Length: 7\r\n"));
        assert!(!head(&framed).contains("content-length"));
    }

    #[test]
    fn no_content_has_no_length() {
        let framed = framed(r#"{"status":204}"#, "{}", MODERN);
        assert!(head(&framed).starts_with("HTTP/1.1 204 No Content\r\n"));
        assert!(!head(&framed).contains("content-length"));
    }
}
