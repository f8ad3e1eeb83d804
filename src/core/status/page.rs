//! What does `llm_status` answer: the page, or JSON? The page is one file without any other host's
//! help; its policy allows its own script and style and nothing else.

/// The page, made by `scripts/status-page` from `src/status-page`.
pub const PAGE: &str = include_str!("../../status-page/dist/index.html");

/// Its `Content-Security-Policy`, made with it.
pub const PAGE_POLICY: &str = include_str!("../../status-page/dist/policy.txt");

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The page.
    Html,
    /// The report.
    Json,
}

impl Shape {
    /// The answer to a path and an `Accept` header. Only who asks for HTML gets the page, which browsers
    /// do, so that `curl` shows the numbers.
    #[must_use]
    pub fn negotiated(path: &[u8], accept: &[u8]) -> Self {
        if path.ends_with(b"/json") {
            return Self::Json;
        }
        let accept = String::from_utf8_lossy(accept).to_ascii_lowercase();
        let names = |wanted: &str| {
            accept
                .split(',')
                .any(|range| range.split(';').next().is_some_and(|n| n.trim() == wanted))
        };
        // Who names both, as scripts on the page do not, is taken for a browser.
        if names("text/html") { Self::Html } else { Self::Json }
    }

    /// The `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}
