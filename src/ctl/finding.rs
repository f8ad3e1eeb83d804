//! What was found wrong, where, and how is it told? Every command that judges a manifest or a
//! configuration reports in these words, to people or to a pipeline.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It will not work.
    Error,
    /// It works, perhaps not as it was meant.
    Warning,
}

impl Severity {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Counted from 1; 0 is the file as a whole.
    pub line: usize,
    /// Counted from 1; 0 is the line as a whole.
    pub column: usize,
    /// The manifest's field, such as `deployment.gateway.routes[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A word that stays the same when the text is improved.
    pub code: &'static str,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong and what to change; never a secret.
    pub text: String,
}

/// Everything that was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// In the order of discovery until [`Report::sort`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// Adds an error.
    pub fn error(&mut self, code: &'static str, place: Place, text: impl Into<String>) {
        self.add(Severity::Error, code, place, text.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, code: &'static str, place: Place, text: impl Into<String>) {
        self.add(Severity::Warning, code, place, text.into());
    }

    fn add(&mut self, severity: Severity, code: &'static str, place: Place, text: String) {
        let finding = Finding { severity, code, place, text };
        // The same lines may serve several locations.
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: Self) {
        for finding in other.findings {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    /// By place, errors first where there are several.
    pub fn sort(&mut self) {
        self.findings.sort_by(|a, b| (&a.place, a.severity).cmp(&(&b.place, b.severity)));
    }

    /// How many errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// For people, one line each.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let plain = anstyle::Style::new();
        for finding in &self.findings {
            let style = match finding.severity {
                Severity::Error => plain.fg_color(Some(anstyle::AnsiColor::Red.into())).bold(),
                Severity::Warning => plain.fg_color(Some(anstyle::AnsiColor::Yellow.into())),
            };
            write!(out, "{}: {style}{}{style:#}: ", finding.place, finding.severity.name())?;
            if let Some(path) = finding.place.path.as_deref().filter(|path| !path.is_empty()) {
                write!(out, "{path}: ")?;
            }
            writeln!(out, "{} [{}]", finding.text, finding.code)?;
        }
        Ok(())
    }

    /// For programs, one document.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let document = serde_json::json!({
            "errors": self.errors(),
            "warnings": self.warnings(),
            "findings": self.findings,
        });
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    }
}
