//! Which of a client's headers say who the client is, or are meant for another vendor? Where the
//! gateway asks in its operator's name, a provider must not see them.

use crate::dialect::Dialect;

/// Ends of the names of headers that carry a credential, whoever invented them: a client's key for us
/// may come in any.
const CREDENTIAL_ENDS: [Word; 13] = [
    Word::end("authorization"),
    Word::end("api-key"),
    Word::end("apikey"),
    Word::end("-token"),
    Word::end("-auth"),
    Word::end("-secret"),
    Word::end("-password"),
    Word::end("-access-key"),
    Word::end("-subscription-key"),
    Word::end("-jwt"),
    Word::end("-assertion"),
    Word::end("cookie"),
    Word::end("cookie2"),
];

/// These choose an account of the client's; with the operator's key they would be refused.
const ACCOUNTS: [Word; 2] = [Word::start("openai-organization"), Word::start("openai-project")];

/// Beginnings of the names of headers that one vendor or gateway understands.
const VENDORS: [(Word, Option<Dialect>); 13] = [
    (Word::start("openai-"), Some(Dialect::OpenAi)),
    (Word::start("x-openai-"), Some(Dialect::OpenAi)),
    (Word::start("anthropic-"), Some(Dialect::Anthropic)),
    (Word::start("x-anthropic-"), Some(Dialect::Anthropic)),
    (Word::start("x-goog-"), None),
    (Word::start("x-amz-"), None),
    (Word::start("x-amzn-"), None),
    (Word::start("x-ms-"), None),
    (Word::start("x-azure-"), None),
    (Word::start("cf-aig-"), None),
    (Word::start("helicone-"), None),
    (Word::start("x-portkey-"), None),
    (Word::start("x-litellm-"), None),
];

/// The client's address is personal data, no provider's API asks for it, and a provider is a stranger
/// to the client: it goes no further than to us.
const ADDRESSES: [Word; 2] = [Word::start("forwarded"), Word::start("via")];
const ADDRESS_STARTS: [Word; 2] = [Word::start("x-forwarded"), Word::start("x-original-forwarded")];
const ADDRESS_ENDS: [Word; 3] =
    [Word::end("-client-ip"), Word::end("-connecting-ip"), Word::end("-real-ip")];

/// Whether a header of the client stays here. Others go on, an SDK's telemetry (`x-stainless-…`) among
/// them: it tells about software, not about people.
pub(super) fn is_private(name: &[u8], dialect: Dialect) -> bool {
    let (first, last) = (first_bytes(name), last_bytes(name));
    let starts = |word: &Word| word.may_be(first) && starts_with(name, word.text);
    let is = |word: &Word| word.may_be(first) && same(name, word.text);
    let ends = |word: &Word| word.may_be(last) && ends_with(name, word.text);
    CREDENTIAL_ENDS.iter().any(ends)
        || ACCOUNTS.iter().any(is)
        || VENDORS.iter().any(|(word, owner)| *owner != Some(dialect) && starts(word))
        || ADDRESSES.iter().any(is)
        || ADDRESS_STARTS.iter().any(starts)
        || ADDRESS_ENDS.iter().any(ends)
}

/// A beginning or an end of names, with up to eight bytes of it as a number: a name is held against three
/// dozen, and one comparison tells of nearly all that they are not it.
struct Word {
    text: &'static str,
    bytes: u64,
    mask: u64,
}

impl Word {
    const fn start(text: &'static str) -> Self {
        let (bytes, mask) = (first_bytes(text.as_bytes()), mask_of(text));
        Self { text, bytes, mask }
    }

    const fn end(text: &'static str) -> Self {
        let (bytes, mask) = (last_bytes(text.as_bytes()), mask_of(text).swap_bytes());
        Self { text, bytes, mask }
    }

    #[inline(always)]
    const fn may_be(&self, bytes: u64) -> bool {
        (self.bytes ^ bytes) & self.mask == 0
    }
}

/// The bits of the first bytes of a text in a number with the first byte lowest.
const fn mask_of(text: &str) -> u64 {
    if text.len() < 8 { (1 << (text.len() * 8)) - 1 } else { u64::MAX }
}

/// Up to eight bytes of the beginning of a name, the first one lowest; what is not there is 0.
#[inline(always)]
const fn first_bytes(name: &[u8]) -> u64 {
    let (mut bytes, mut shift, mut rest) = (0, 0, name);
    while let [byte, behind @ ..] = rest {
        if shift == u64::BITS {
            break;
        }
        bytes |= (plain(*byte) as u64) << shift;
        (shift, rest) = (shift + 8, behind);
    }
    bytes
}

/// Up to eight bytes of the end of a name, the last one highest; what is not there is 0.
#[inline(always)]
const fn last_bytes(name: &[u8]) -> u64 {
    let (mut bytes, mut shift, mut rest) = (0, u64::BITS, name);
    while let [before @ .., byte] = rest {
        if shift == 0 {
            break;
        }
        shift -= 8;
        bytes |= (plain(*byte) as u64) << shift;
        rest = before;
    }
    bytes
}

pub(super) fn starts_with(name: &[u8], start: &str) -> bool {
    name.get(..start.len()).is_some_and(|name| same(name, start))
}

pub(super) fn ends_with(name: &[u8], end: &str) -> bool {
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
