//! `llm_metrics_export`: the counts as text for scrapers.

use llm_core::metrics::{Exposition, Format, Table};

use super::gauges::gauges;
use crate::ffi::{Request, process};

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
    // Copied under the lock, written without it.
    let copied = board.series.locked(|records| {
        let mut table = Table::new(records);
        let streams = table.open_streams(process::is_alive);
        (table.snapshot(), table.lost(), streams)
    });
    let Some((records, lost, streams)) = copied else { return 500 };
    let gauges = gauges(r, streams);
    let mut text = Exposition::new(&board.layout, format, records, gauges, lost);
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
