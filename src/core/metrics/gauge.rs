//! What is the state of things at the time of a scrape? The caller knows; here it becomes lines.

use super::layout::escape;
use super::{Family, Label, Metric, Type};
use crate::cost::Pico;

/// A gauge's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// A whole number.
    Whole(u64),
    /// An amount of money.
    Money(Pico),
}

/// A gauge's value and labels at the time of a scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauge {
    pub(super) family: &'static Family,
    /// As they stand between the braces.
    pub(super) labels: String,
    pub(super) amount: Amount,
}

impl Gauge {
    /// The line of a gauge; `values` are those of the family's labels, in order. None if `metric` is no
    /// gauge or the number of labels differs.
    #[must_use]
    pub fn new(metric: Metric, values: &[&[u8]], amount: Amount) -> Option<Self> {
        let family = metric.family()?;
        if family.kind != Type::Gauge || family.labels.len() != values.len() {
            return None;
        }
        let mut labels = String::new();
        for (label, value) in family.labels.iter().zip(values) {
            if !labels.is_empty() {
                labels.push(',');
            }
            labels.push_str(Label::name(*label));
            labels.push_str("=\"");
            escape(&mut labels, &String::from_utf8_lossy(value));
            labels.push('"');
        }
        Some(Self { family, labels, amount })
    }
}
