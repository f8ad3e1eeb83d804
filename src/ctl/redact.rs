//! What of a text may leave the machine? Everything that may be a secret becomes `***`, rather once too
//! often.

/// Words that stand before a secret.
const BEFORE: [&str; 9] = [
    "bearer",
    "authorization",
    "x-api-key",
    "api-key",
    "api_key",
    "password",
    "secret",
    "token",
    "llm_auth_credential",
];

/// How keys of known vendors, and ours in URLs, begin.
const STARTS: [&str; 7] = ["sk-", "sk_", "xai-", "gsk_", "pk-", "ghp_", "AIza"];

/// Longer runs of letters and digits are more likely keys than words.
const LONG: usize = 32;

/// The text without secrets.
pub fn text(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(line: &str) -> String {
    let mut result = String::with_capacity(line.len());
    let mut follows_word: u32 = 0;
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(is_break).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let is_reference = word.starts_with("env:") || word.starts_with("file:");
        let lower = word.to_ascii_lowercase();
        if !word.is_empty() {
            if BEFORE.contains(&lower.as_str()) {
                result.push_str(word);
                // "Authorization: Bearer x", "llm_auth_credential provider x".
                follows_word = 2;
            } else if !is_reference && (is_secret(word) || (follows_word > 0 && word.len() >= 8)) {
                result.push_str("***");
            } else {
                result.push_str(word);
                follows_word = follows_word.saturating_sub(1);
            }
        }
        let after = behind.chars().next().map_or(0, char::len_utf8);
        let (sign, next) = behind.split_at(after);
        result.push_str(sign);
        rest = next;
    }
    result
}

fn is_break(c: char) -> bool {
    c.is_whitespace() || "\"'`;,=<>(){}[]@".contains(c)
}

fn is_secret(word: &str) -> bool {
    let plain =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+/".contains(&b));
    let starts = STARTS.iter().any(|start| word.starts_with(start) && word.len() > start.len() + 8);
    // Of a client's credential the id may stay, but nobody needs it whole.
    let last = word.rsplit(['.', ':']).next().unwrap_or(word);
    let digits = last.bytes().filter(u8::is_ascii_digit).count();
    let is_path = last.contains('/');
    let is_uuid = last.len() == 36 && last.matches('-').count() == 4;
    let is_url_password = word.contains("://") && word.matches(':').count() > 1;
    starts
        || is_url_password
        || (last.len() >= LONG && plain(last) && digits >= 4 && !is_path && !is_uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_stays() {
        for (given, kept) in [
            (
                "llm_auth_credential openai env:OPENAI_API_KEY;",
                "llm_auth_credential openai env:OPENAI_API_KEY;",
            ),
            ("llm_auth_credential openai mysecretkey1;", "llm_auth_credential openai ***;"),
            ("Authorization: Bearer abcdefgh12", "Authorization: Bearer ***"),
            ("key sk-proj-0123456789abc was refused", "key *** was refused"),
            ("password=hunter2hunter2 host=db", "password=*** host=db"),
            ("postgres://user:pw12345@db/x", "***@db/x"),
            ("listen 127.0.0.1:9180;", "listen 127.0.0.1:9180;"),
            ("k.0123456789abcdef0123456789abcdef", "***"),
            (
                "client_id: 30000000-0000-0001-0001-000000000001",
                "client_id: 30000000-0000-0001-0001-000000000001",
            ),
            (
                "2026/11/21 [emerg] bind() to 0.0.0.0:80 failed\n",
                "2026/11/21 [emerg] bind() to 0.0.0.0:80 failed\n",
            ),
        ] {
            assert_eq!(text(given), kept);
        }
    }
}
