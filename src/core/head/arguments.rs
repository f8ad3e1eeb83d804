//! Which arguments of a request line are a client's credential? Where the gateway asks in its
//! operator's name, a provider must not see them, and nor must its logs. All else stays as it is.

use std::borrow::Cow;

use super::private::{ends_with, same, starts_with};

/// Names of arguments that carry a credential. They are fewer than those of headers: arguments called
/// `page_token` and the like turn pages.
const WHOLE: [&str; 10] = [
    "key",
    "token",
    "access-token",
    "auth-token",
    "id-token",
    "access-key",
    "client-secret",
    "secret",
    "password",
    "jwt",
];

/// Ends of such names.
const ENDS: [&str; 4] = ["api-key", "apikey", "authorization", "subscription-key"];

/// Beginnings of the names in signed addresses.
const STARTS: [&str; 2] = ["x-amz-", "x-goog-"];

/// Appends a request line without the arguments that carry a credential.
pub(super) fn put_without_credentials(out: &mut Vec<u8>, line: &[u8]) {
    let Some((target, arguments)) =
        memchr::memchr(b'?', line).and_then(|at| line.split_at_checked(at))
    else {
        return out.extend_from_slice(line);
    };
    let arguments = arguments.get(1..).unwrap_or_default();
    let all = || arguments.split(|&byte| byte == b'&');
    if !all().any(is_credential) {
        return out.extend_from_slice(line);
    }
    out.extend_from_slice(target);
    out.push(b'?');
    let begin = out.len();
    for (index, argument) in all().filter(|argument| !is_credential(argument)).enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(argument);
    }
    if out.len() == begin {
        out.pop();
    }
}

fn is_credential(argument: &[u8]) -> bool {
    let name = argument.split(|&byte| byte == b'=').next().unwrap_or_default();
    let name = decoded(name);
    WHOLE.iter().any(|word| same(&name, word))
        || ENDS.iter().any(|end| ends_with(&name, end))
        || STARTS.iter().any(|start| starts_with(&name, start))
}

/// The name as servers read it: `%` and two digits are a byte.
fn decoded(name: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', name).is_none() {
        return Cow::Borrowed(name);
    }
    let mut text = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = behind.split_first_chunk().filter(|_| first == b'%');
        let escaped = escaped.and_then(|(digits, behind)| Some((byte_of(*digits)?, behind)));
        let (byte, behind) = escaped.unwrap_or((first, behind));
        text.push(byte);
        rest = behind;
    }
    Cow::Owned(text)
}

fn byte_of(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(uri: &str) -> String {
        let mut out = b"> ".to_vec();
        put_without_credentials(&mut out, uri.as_bytes());
        let sent = String::from_utf8(out).unwrap();
        sent.strip_prefix("> ").unwrap().to_owned()
    }

    #[test]
    fn an_argument_with_a_credential_goes_and_leaves_no_mark() {
        for (uri, wanted) in [
            ("GET /v1/models?key=a", "GET /v1/models"),
            ("/?key=a&b=1", "/?b=1"),
            ("/?b=1&key=a", "/?b=1"),
            ("/?b=1&key=a&c=2", "/?b=1&c=2"),
            ("/?key=a&api_key=b&access_token=c", "/"),
            ("/?key", "/"),
            ("/?key=", "/"),
            ("/?key=a=b?c&d", "/?d"),
            ("/?&key=a", "/"),
        ] {
            assert_eq!(sent(uri), wanted, "{uri}");
        }
    }

    #[test]
    fn a_name_is_known_in_every_spelling() {
        for name in [
            "key",
            "KEY",
            "k%65y",
            "%6B%65%79",
            "%6b%45y",
            "api_key",
            "api-key",
            "API%5fKey",
            "apiKey",
            "x-api-key",
            "x-goog-api-key",
            "access_token",
            "access%2Dtoken",
            "Authorization",
            "subscription-key",
            "X-Amz-Security-Token",
        ] {
            assert_eq!(sent(&format!("/?a=1&{name}=b&c=2")), "/?a=1&c=2", "{name}");
        }
    }

    #[test]
    fn all_else_stays_as_it_is() {
        for uri in [
            "",
            "/v1/models",
            "/v1/models?",
            "/?&&",
            "/?api-version=2024-10-21&beta=true",
            "/?monkey=1&keys=2&key_id=3&page_token=4&max_tokens=5&metadata[key]=6",
            "/?a=key=b&c=%6",
            "/?%256Bey=1&%6=2&%zz=3&%=4",
            "/key=1&api_key=2",
        ] {
            assert_eq!(sent(uri), uri);
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_keeps_its_bytes_and_its_order(
            others in prop::collection::vec("[a-d%.]{0,3}=[!-%\'-~]{0,9}", 0..6),
            at in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        ) {
            let kept = others.join("&");
            let mut all: Vec<&str> = others.iter().map(String::as_str).collect();
            for at in at {
                all.insert(at.index(all.len() + 1), "k%45Y=client");
            }
            let wanted = if kept.is_empty() { "/v1".to_owned() } else { format!("/v1?{kept}") };
            prop_assert_eq!(sent(&format!("/v1?{}", all.join("&"))), wanted);
        }
    }
}
