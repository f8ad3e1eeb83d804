//! Which endpoint does a path mean, and what is the path at a provider whose API lives elsewhere?
//! Routing asks once for each request, the attempt once for each target.

use super::Endpoint;

/// The known endpoints as the path spells them behind its version; longer ones first, because
/// `completions` also ends `chat/completions`.
const ENDPOINTS: [(&[u8], Endpoint); 7] = [
    (b"messages/count_tokens", Endpoint::CountTokens),
    (b"chat/completions", Endpoint::Chat),
    (b"completions", Endpoint::Completions),
    (b"embeddings", Endpoint::Embeddings),
    (b"responses", Endpoint::Responses),
    (b"messages", Endpoint::Messages),
    (b"models", Endpoint::Models),
];

/// The endpoint a path means, whatever prefix a location puts before it: `/v1/messages`,
/// `/anthropic/v1/messages/` and `/messages?beta=true` are the same. Behind a version only the whole
/// tail counts, so that `/v1/threads/x/messages` is not taken for Anthropic's endpoint.
#[must_use]
pub fn classify(path: &[u8]) -> Endpoint {
    let path = without_query(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let Some(tail) = behind_version(path) else {
        return ending(path).map_or(Endpoint::Other, |(_, endpoint)| endpoint);
    };
    // Compatible APIs put their dialect behind the version: `/v1beta/openai/chat/completions`.
    let tail = tail.strip_prefix(b"openai/").unwrap_or(tail);
    if tail.starts_with(b"models/") {
        return Endpoint::Models;
    }
    let exact = ENDPOINTS.iter().find(|(name, _)| *name == tail);
    exact.map_or(Endpoint::Other, |&(_, endpoint)| endpoint)
}

/// The path under `base` (no trailing slash; empty for the root) of what `path` asks for: the part
/// behind the first `/v1/`, or from a known endpoint on. The query and the bytes of the tail stay as
/// they are. `None` says to leave the path alone: it is right already or no endpoint is in it.
#[must_use]
pub fn rebase(path: &[u8], base: &str) -> Option<Vec<u8>> {
    const VERSION: &[u8] = b"/v1/";
    let bare = without_query(path);
    let tail_at = match memchr::memmem::find(bare, VERSION) {
        Some(at) => at + VERSION.len(),
        None => ending(bare.strip_suffix(b"/").unwrap_or(bare))?.0,
    };
    let base = base.strip_suffix('/').unwrap_or(base).as_bytes();
    let (head, tail) = path.split_at_checked(tail_at)?;
    if head.strip_suffix(b"/") == Some(base) {
        return None;
    }
    Some([base, b"/", tail].concat())
}

fn without_query(path: &[u8]) -> &[u8] {
    memchr::memchr(b'?', path).and_then(|at| path.get(..at)).unwrap_or(path)
}

/// What stands behind the last segment that is a version (`v1`, `v4`, `v1beta`).
fn behind_version(path: &[u8]) -> Option<&[u8]> {
    let mut end = path.len();
    for slash in memchr::memrchr_iter(b'/', path) {
        if is_version(path.get(slash + 1..end)?) {
            return Some(path.get(end + 1..).unwrap_or_default());
        }
        end = slash;
    }
    None
}

fn is_version(segment: &[u8]) -> bool {
    let Some(number) = segment.strip_prefix(b"v") else { return false };
    let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && matches!(number.get(digits..), Some(b"" | b"alpha" | b"beta"))
}

/// Where a known endpoint starts that ends the path at a segment border.
fn ending(path: &[u8]) -> Option<(usize, Endpoint)> {
    ENDPOINTS.iter().find_map(|&(name, endpoint)| {
        let head = path.strip_suffix(name)?;
        head.ends_with(b"/").then_some((head.len(), endpoint))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_found_behind_any_prefix() {
        for (path, endpoint) in [
            ("/v1/chat/completions", Endpoint::Chat),
            ("/openai/v1/chat/completions", Endpoint::Chat),
            ("/v1/chat/completions/", Endpoint::Chat),
            ("/v1beta/openai/chat/completions", Endpoint::Chat),
            ("/v1/threads/x/messages", Endpoint::Other),
            ("/v1/vanilla", Endpoint::Other),
            ("/chat/completions", Endpoint::Chat),
            ("/openai/deployments/x/chat/completions?api-version=1", Endpoint::Chat),
            ("/v1/completions", Endpoint::Completions),
            ("/v1/embeddings", Endpoint::Embeddings),
            ("/v1/responses", Endpoint::Responses),
            ("/v1/responses/resp_1", Endpoint::Other),
            ("/anthropic/v1/messages?beta=true", Endpoint::Messages),
            ("/v1/messages/count_tokens", Endpoint::CountTokens),
            ("/v1/messages/batches", Endpoint::Other),
            ("/v1/models", Endpoint::Models),
            ("/v1/models/meta/llama", Endpoint::Models),
            ("/v4/models", Endpoint::Models),
            ("/v1/files", Endpoint::Other),
            ("/v1", Endpoint::Other),
            ("/", Endpoint::Other),
            ("", Endpoint::Other),
            ("/v1/xchat/completions", Endpoint::Other),
            ("/mymessages", Endpoint::Other),
        ] {
            assert_eq!(classify(path.as_bytes()), endpoint, "{path}");
        }
    }

    fn rebased(path: &str, base: &str) -> Option<String> {
        rebase(path.as_bytes(), base).map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn a_base_replaces_what_stands_before_the_endpoint() {
        for (path, base, target) in [
            ("/v1/chat/completions", "/v1beta/openai", "/v1beta/openai/chat/completions"),
            ("/openai/v1/chat/completions", "/v1", "/v1/chat/completions"),
            ("/v1/files/a%2Fb?x=/v1/", "/api/v1", "/api/v1/files/a%2Fb?x=/v1/"),
            ("/v1/messages", "", "/messages"),
            ("/chat/completions", "/v1", "/v1/chat/completions"),
            ("/x/messages/count_tokens?a=1", "/v1", "/v1/messages/count_tokens?a=1"),
            ("/v1/chat/completions/", "/v2", "/v2/chat/completions/"),
            ("/v1/models/v1/x", "/v2", "/v2/models/v1/x"),
        ] {
            assert_eq!(rebased(path, base).as_deref(), Some(target), "{path} {base}");
        }
    }

    #[test]
    fn a_path_that_is_right_or_unknown_is_left_alone() {
        for (path, base) in [
            ("/v1/chat/completions", "/v1"),
            ("/v1beta/openai/chat/completions", "/v1beta/openai"),
            ("/api/v1/models?a=/v1/", "/api/v1"),
            ("/healthz", "/v1"),
            ("/x?y=/v1/messages", "/v1"),
            ("/messages", ""),
            ("/v1", "/v2"),
        ] {
            assert_eq!(rebased(path, base), None, "{path} {base}");
        }
    }
}
