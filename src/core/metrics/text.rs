//! How do the series become text? Piece by piece into buffers of any size, so that a scrape of
//! a hundred thousand series needs no more room than its copy of the numbers.

use std::ops::Range;

use super::buckets::Bounds;
use super::gauge::{Amount, Gauge};
use super::layout::Layout;
use super::table::{Record, Table};
use super::{FAMILIES, Family, Format, Metric, Type};
use crate::cost::Pico;

/// The text of a scrape, from a copy of the records.
#[derive(Debug)]
pub struct Exposition<'a> {
    layout: &'a Layout,
    format: Format,
    /// The head of all first.
    records: Vec<Record>,
    gauges: Vec<Gauge>,
    /// The places of each family's records, one family behind the other.
    order: Vec<u32>,
    /// Which part of `order` each family has.
    parts: Vec<Range<usize>>,
    /// The family that is being written.
    family: usize,
    /// Where in its records; none before its head.
    at: Option<usize>,
    is_over: bool,
    /// Text that did not fit into the last buffer begins at `sent`.
    text: Vec<u8>,
    sent: usize,
    labels: Vec<u8>,
}

impl<'a> Exposition<'a> {
    /// The text of a copy of the zone's records, as far as [`Table::extent`], and of the gauges.
    #[must_use]
    pub fn new(
        layout: &'a Layout,
        format: Format,
        records: Vec<Record>,
        gauges: Vec<Gauge>,
    ) -> Self {
        let (order, parts) = ordered(&records);
        Self {
            layout,
            format,
            records,
            gauges,
            order,
            parts,
            family: 0,
            at: None,
            is_over: false,
            text: Vec::new(),
            sent: 0,
            labels: Vec::new(),
        }
    }

    /// Fills `out` with what comes next and says how many bytes it has; 0 is the end.
    pub fn read(&mut self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            let rest = self.text.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.text.clear();
                self.sent = 0;
                if !self.advance() {
                    break;
                }
                continue;
            }
            let len = rest.len().min(room.len());
            if let (Some(to), Some(from)) = (room.get_mut(..len), rest.get(..len)) {
                to.copy_from_slice(from);
            }
            self.sent += len;
            filled += len;
        }
        filled
    }

    /// Writes some series more; false at the end.
    fn advance(&mut self) -> bool {
        /// Series that are written in one go, unless little text came of them.
        const PIECE_BYTES: usize = 4096;
        while self.text.len() < PIECE_BYTES {
            let Some(family) = FAMILIES.get(self.family) else {
                if !self.is_over && self.format == Format::OpenMetrics {
                    self.text.extend_from_slice(b"# EOF\n");
                }
                self.is_over = true;
                break;
            };
            self.step(family);
        }
        !self.text.is_empty()
    }

    /// Writes a whole family's gauges, or one record.
    fn step(&mut self, family: &'static Family) {
        let part = self.parts.get(self.family).cloned().unwrap_or_default();
        let at = self.at.unwrap_or(part.start);
        if family.kind == Type::Gauge || family.metric == Metric::MetricsLost {
            self.write_given(family);
        } else if let Some(&place) = self.order.get(at).filter(|_| at < part.end) {
            let record = usize::try_from(place).ok().and_then(|place| self.records.get(place));
            if let Some(record) = record {
                self.labels.clear();
                if self.layout.labels(record, &mut self.labels).is_some() {
                    if self.at.is_none() {
                        write_head(&mut self.text, self.format, family);
                        self.at = Some(at);
                    }
                    write_record(&mut self.text, family, &self.labels, record);
                }
            }
            // Records of another configuration before the first of ours leave the head unwritten.
            match &mut self.at {
                Some(at) => *at += 1,
                None => {
                    if let Some(part) = self.parts.get_mut(self.family) {
                        part.start += 1;
                    }
                }
            }
            return;
        }
        self.family += 1;
        self.at = None;
    }

    /// What is not in the records.
    fn write_given(&mut self, family: &'static Family) {
        if family.metric == Metric::MetricsLost {
            write_head(&mut self.text, self.format, family);
            let lost = Table::lost(&self.records);
            write_line(&mut self.text, family.name, b"", itoa::Buffer::new().format(lost));
            return;
        }
        let mut has_head = false;
        for gauge in self.gauges.iter().filter(|gauge| gauge.family == family) {
            if !has_head {
                write_head(&mut self.text, self.format, family);
                has_head = true;
            }
            let labels = gauge.labels.as_bytes();
            match gauge.amount {
                Amount::Whole(value) => {
                    let mut buffer = itoa::Buffer::new();
                    write_line(&mut self.text, family.name, labels, buffer.format(value));
                }
                Amount::Money(pico) => {
                    write_line(&mut self.text, family.name, labels, &pico.to_string());
                }
            }
        }
    }
}

/// The places of the records, family by family, and where each family begins and ends. Within a family
/// they stay as they are, which is the order in which the series began, unless some were removed.
fn ordered(records: &[Record]) -> (Vec<u32>, Vec<Range<usize>>) {
    let family = |record: &Record| usize::try_from(record.family).unwrap_or(usize::MAX);
    let mut parts = vec![0..0; FAMILIES.len()];
    for record in records.iter().skip(1) {
        if let Some(part) = parts.get_mut(family(record)) {
            part.end += 1;
        }
    }
    let mut begin = 0;
    for part in &mut parts {
        let len = part.end;
        *part = begin..begin;
        begin += len;
    }
    let mut order = vec![0; begin];
    for (place, record) in (0_u32..).zip(records).skip(1) {
        let Some(part) = parts.get_mut(family(record)) else { continue };
        if let Some(entry) = order.get_mut(part.end) {
            *entry = place;
        }
        part.end += 1;
    }
    (order, parts)
}

fn write_head(text: &mut Vec<u8>, format: Format, family: &Family) {
    let name = match format {
        Format::Text => family.name,
        Format::OpenMetrics => family.base_name(),
    };
    for (keyword, rest) in
        [("TYPE", Some(family.kind.name())), ("UNIT", family.unit), ("HELP", Some(family.help))]
    {
        // The older text has no units: there the line is a comment.
        let Some(rest) = rest.filter(|_| keyword != "UNIT" || format == Format::OpenMetrics) else {
            continue;
        };
        for part in ["# ", keyword, " ", name, " ", rest, "\n"] {
            text.extend_from_slice(part.as_bytes());
        }
    }
}

fn write_record(text: &mut Vec<u8>, family: &Family, labels: &[u8], record: &Record) {
    if record.values.iter().all(|&value| value == 0) {
        return;
    }
    match family.kind {
        Type::Histogram(bounds) => write_histogram(text, family, bounds, labels, record),
        _ if family.metric == Metric::CostUnits => {
            write_line(text, family.name, labels, &Pico(record.pico()).to_string());
        }
        _ => write_line(text, family.name, labels, itoa::Buffer::new().format(record.count())),
    }
}

fn write_line(text: &mut Vec<u8>, name: &str, labels: &[u8], value: &str) {
    text.extend_from_slice(name.as_bytes());
    if !labels.is_empty() {
        text.push(b'{');
        text.extend_from_slice(labels);
        text.push(b'}');
    }
    text.push(b' ');
    text.extend_from_slice(value.as_bytes());
    text.push(b'\n');
}

fn write_histogram(
    text: &mut Vec<u8>,
    family: &Family,
    bounds: &Bounds,
    labels: &[u8],
    record: &Record,
) {
    // What all buckets' lines begin with is written once and copied.
    let begin = text.len();
    text.extend_from_slice(family.name.as_bytes());
    text.extend_from_slice(b"_bucket{");
    text.extend_from_slice(labels);
    text.extend_from_slice(if labels.is_empty() { b"le=\"" } else { b",le=\"" });
    let prefix = begin..text.len();
    let (mut number, mut total) = (itoa::Buffer::new(), 0_u64);
    let mut digits = number.format(total);
    let texts = bounds.texts().iter().copied().chain(["+Inf"]);
    for (at, (bound, &count)) in texts.zip(record.buckets()).enumerate() {
        if at > 0 {
            text.extend_from_within(prefix.clone());
        }
        if count > 0 {
            total = total.wrapping_add(count);
            digits = number.format(total);
        }
        text.extend_from_slice(bound.as_bytes());
        text.extend_from_slice(b"\"} ");
        text.extend_from_slice(digits.as_bytes());
        text.push(b'\n');
    }
    let sum_us = record.sum_us();
    let seconds = format!("{}.{:06}", sum_us / 1_000_000, sum_us % 1_000_000);
    for (suffix, value) in [("_sum", seconds.as_str()), ("_count", number.format(total))] {
        text.extend_from_slice(family.name.as_bytes());
        write_line(text, suffix, labels, value);
    }
}
