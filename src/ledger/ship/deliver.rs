//! How is a batch written although a row in it is bad? It is halved until the bad rows stand alone.

use std::time::Instant;

use llm_core::cost::CostEvent;

use crate::journal::Mark;
use crate::sink::{Blame, Delivery, Failure, Sink};

/// So many rows are not bad all at once: then something else is wrong, and they wait.
const SUSPICIOUS_ROWS: usize = 16;

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Delivered<'a> {
    /// Where the sink's own file ends.
    pub(crate) mark: Option<Mark>,
    /// Rows that were refused, with the reason.
    pub(crate) refused: Vec<(&'a CostEvent, String)>,
}

/// Writes all good rows. On an error some of them may have been written, none is refused, and all of
/// them are to be delivered again.
pub(super) fn deliver<'a>(
    sink: &mut dyn Sink,
    rows: &[&'a CostEvent],
    since: Option<Mark>,
    deadline: Instant,
) -> Result<Delivered<'a>, Failure> {
    let mut delivered = Delivered { mark: None, refused: Vec::new() };
    // The second half stands below the first one.
    let mut parts = vec![rows];
    while let Some(part) = parts.pop() {
        let within = deadline.saturating_duration_since(Instant::now());
        if within.is_zero() {
            return Err(Failure::moment("no time left for the batch"));
        }
        match sink.write(Delivery { rows: part, since, within }) {
            Ok(mark) => delivered.mark = Some(mark),
            Err(failure) if failure.blame == Blame::Moment => return Err(failure),
            Err(failure) => match part {
                [] => {}
                [row] => delivered.refused.push((row, failure.text)),
                part => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            },
        }
    }
    match delivered.refused.as_slice() {
        [(_, reason), ..]
            if delivered.refused.len() == rows.len() && rows.len() >= SUSPICIOUS_ROWS =>
        {
            Err(Failure::moment(format_args!(
                "every row of a batch was refused, which a trigger or a constraint may cause: {reason}"
            )))
        }
        _ => Ok(delivered),
    }
}

#[cfg(test)]
mod tests;
