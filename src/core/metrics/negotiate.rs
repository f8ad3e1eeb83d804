//! Which text does a scraper want? What it says in `Accept` decides; who says nothing that we have
//! gets the text that every scraper reads.

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Prometheus' own, version 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The format for an `Accept` header.
    #[must_use]
    pub fn negotiated(accept: &[u8]) -> Self {
        let accept = String::from_utf8_lossy(accept).to_ascii_lowercase();
        let (mut open, mut text) = (0, 0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let mut permille = 1000;
            let mut is_ours = true;
            for part in parts {
                match part.split_once('=') {
                    Some(("q", weight)) => permille = weight_permille(weight),
                    Some(("version", version)) => {
                        is_ours = matches!(version.trim_matches('"'), "1.0.0" | "0.0.4");
                    }
                    _ => {}
                }
            }
            match name {
                "application/openmetrics-text" if is_ours => open = permille.max(open),
                "text/plain" if is_ours => text = permille.max(text),
                _ => {}
            }
        }
        if open > 0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A weight such as `0.5`; nonsense weighs nothing.
fn weight_permille(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    let permille = digits
        .into_iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')));
    match (whole, permille) {
        ("1", Some(_)) => 1000,
        ("0", Some(permille)) => permille,
        _ => 0,
    }
}
