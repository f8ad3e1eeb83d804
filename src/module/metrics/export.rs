//! `llm_metrics_export`: the counts as text for scrapers.

use llm_core::metrics::{Exposition, Format};

use super::gauges::gauges;
use crate::ffi::Request;

/// Bytes that are written at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Answers a scrape.
pub fn export(mut r: Request<'_>) -> isize {
    if !r.is_main() {
        return 403;
    }
    if !matches!(r.method(), b"GET" | b"HEAD") {
        r.add_header("Allow", "GET, HEAD");
        return 405;
    }
    let Some(board) = &r.main_conf().metrics else { return 404 };
    let format = Format::negotiated(r.header("accept").unwrap_or_default());
    let series = board.series_where(|_| true);
    let gauges = gauges(r, board.open_streams(&series));
    let mut text = Exposition::new(&board.layout, format, series, gauges);
    let mut body = Vec::new();
    loop {
        let begin = body.len();
        body.resize(begin + PIECE_BYTES, 0);
        let bytes = text.read(body.get_mut(begin..).unwrap_or_default());
        body.truncate(begin + bytes);
        if bytes == 0 {
            return r.answer(200, format.content_type(), &body);
        }
    }
}
