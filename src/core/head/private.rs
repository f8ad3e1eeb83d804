//! Which of a client's headers say who the client is, or are meant for another vendor? Where the
//! gateway asks in its operator's name, a provider must not see them.

use crate::dialect::Dialect;

/// Ends of the names of headers that carry a credential, whoever invented them: a client's key for us
/// may come in any.
const CREDENTIAL_ENDS: [&str; 13] = [
    "authorization",
    "api-key",
    "apikey",
    "-token",
    "-auth",
    "-secret",
    "-password",
    "-access-key",
    "-subscription-key",
    "-jwt",
    "-assertion",
    "cookie",
    "cookie2",
];

/// These choose an account of the client's; with the operator's key they would be refused.
const ACCOUNTS: [&str; 2] = ["openai-organization", "openai-project"];

/// Beginnings of the names of headers that one vendor or gateway understands.
const VENDORS: [(&str, Option<Dialect>); 13] = [
    ("openai-", Some(Dialect::OpenAi)),
    ("x-openai-", Some(Dialect::OpenAi)),
    ("anthropic-", Some(Dialect::Anthropic)),
    ("x-anthropic-", Some(Dialect::Anthropic)),
    ("x-goog-", None),
    ("x-amz-", None),
    ("x-amzn-", None),
    ("x-ms-", None),
    ("x-azure-", None),
    ("cf-aig-", None),
    ("helicone-", None),
    ("x-portkey-", None),
    ("x-litellm-", None),
];

/// The client's address is personal data, no provider's API asks for it, and a provider is a stranger
/// to the client: it goes no further than to us.
const ADDRESSES: [&str; 2] = ["forwarded", "via"];
const ADDRESS_STARTS: [&str; 2] = ["x-forwarded", "x-original-forwarded"];
const ADDRESS_ENDS: [&str; 3] = ["-client-ip", "-connecting-ip", "-real-ip"];

/// Whether a header of the client stays here. Others go on, an SDK's telemetry (`x-stainless-…`) among
/// them: it tells about software, not about people.
pub(super) fn is_private(name: &[u8], dialect: Dialect) -> bool {
    let foreign = |&(start, owner): &(&str, Option<Dialect>)| {
        owner != Some(dialect) && starts_with(name, start)
    };
    let starts = || {
        ACCOUNTS.iter().any(|account| same(name, account))
            || VENDORS.iter().any(foreign)
            || ADDRESSES.iter().any(|address| same(name, address))
            || ADDRESS_STARTS.iter().any(|start| starts_with(name, start))
    };
    let ends = || {
        CREDENTIAL_ENDS.iter().any(|end| ends_with(name, end))
            || ADDRESS_ENDS.iter().any(|end| ends_with(name, end))
    };
    let (first, last) = (name.first().copied(), name.last().copied());
    // One byte tells of most that they are none of these.
    last.is_some_and(|byte| LASTS & letter(byte) != 0) && ends()
        || first.is_some_and(|byte| FIRSTS & letter(byte) != 0) && starts()
}

/// The first letters of whole names and beginnings, and the last letters of ends, as bits.
const FIRSTS: u64 = firsts(&ACCOUNTS) | vendors() | firsts(&ADDRESSES) | firsts(&ADDRESS_STARTS);
const LASTS: u64 = lasts(&CREDENTIAL_ENDS) | lasts(&ADDRESS_ENDS);

/// A bit for a byte of a name; bytes that count as the same have the same.
const fn letter(byte: u8) -> u64 {
    1 << (plain(byte) & 63)
}

const fn firsts(words: &[&str]) -> u64 {
    let (mut letters, mut rest) = (0, words);
    while let [word, behind @ ..] = rest {
        if let [first, ..] = word.as_bytes() {
            letters |= letter(*first);
        }
        rest = behind;
    }
    letters
}

const fn lasts(words: &[&str]) -> u64 {
    let (mut letters, mut rest) = (0, words);
    while let [word, behind @ ..] = rest {
        if let [.., last] = word.as_bytes() {
            letters |= letter(*last);
        }
        rest = behind;
    }
    letters
}

const fn vendors() -> u64 {
    let (mut letters, mut rest) = (0, VENDORS.as_slice());
    while let [(start, _), behind @ ..] = rest {
        letters |= firsts(&[*start]);
        rest = behind;
    }
    letters
}

pub(super) fn starts_with(name: &[u8], start: &str) -> bool {
    if name.first().map(|byte| plain(*byte)) != start.as_bytes().first().map(|byte| plain(*byte)) {
        return start.is_empty();
    }
    name.get(..start.len()).is_some_and(|name| same(name, start))
}

pub(super) fn ends_with(name: &[u8], end: &str) -> bool {
    // A name is held against a dozen of them, and one byte tells of most that they are not its end.
    if name.last().map(|byte| plain(*byte)) != end.as_bytes().last().map(|byte| plain(*byte)) {
        return false;
    }
    let at = name.len().checked_sub(end.len());
    at.and_then(|at| name.get(at..)).is_some_and(|name| same(name, end))
}

/// As servers read it that turn names into variables: `x_api_key` is `x-api-key` to them.
const fn plain(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// Compares without regard to case.
pub(super) fn same(name: &[u8], word: &str) -> bool {
    let mut pairs = name.iter().zip(word.bytes());
    name.len() == word.len() && pairs.all(|(&byte, of)| plain(byte) == plain(of))
}
