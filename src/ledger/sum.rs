//! What has been spent, as the rows tell it? Asked once at start, for spend that is older than the
//! checkpoint and the journal.

/// Which rows are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter<'a> {
    /// `org`, where it matters.
    pub org: Option<&'a str>,
    /// `project`, where it matters.
    pub project: Option<&'a str>,
    /// `client`, where it matters.
    pub client: Option<&'a str>,
    /// `cost_unit`.
    pub unit: &'a str,
    /// Rows of this moment and later, in milliseconds of unix time.
    pub from_ms: i64,
    /// Rows before this moment, in milliseconds of unix time.
    pub before_ms: i64,
}

impl<'a> Filter<'a> {
    /// The columns that must have a certain text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        [
            ("cost_unit", Some(self.unit)),
            ("org", self.org),
            ("project", self.project),
            ("client", self.client),
        ]
        .into_iter()
        .filter_map(|(column, text)| Some((column, text?)))
    }
}
