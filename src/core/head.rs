//! What does the request head for a provider look like, given the one that nginx's proxy module
//! wrote? `attempt` asks before each try. It decides lines, it does not send them.

/// What the head must say.
#[derive(Debug, Clone, Copy)]
pub struct HeadEdit<'a> {
    /// The provider's host.
    pub host: &'a str,
    /// Values of `Host` that nobody can have meant for a provider: the upstream block's name, which
    /// is nginx's default, and the host that the client asked for.
    pub wrong_hosts: &'a [&'a [u8]],
    /// `anthropic-version`, in the place of the client's.
    pub version: Option<&'a str>,
    /// Prefix of our own request headers, which providers must not see, in lower case.
    pub own_prefix: &'a str,
}

/// Headers that never go to a provider: answers must arrive unencoded for their tokens to be
/// counted, and the connection to a provider is not the client's.
const DROPPED: [&str; 4] = ["accept-encoding", "te", "upgrade", "proxy-connection"];

/// The head for the provider: HTTP/1.1, with a right `Host`, without what must not be seen. Bytes
/// behind the head (`proxy_set_body`) stay. `None` when the text is not a request head.
#[must_use]
pub fn edit(text: &[u8], edit: &HeadEdit<'_>) -> Option<Vec<u8>> {
    let end = memchr::memmem::find(text, b"\r\n\r\n")?;
    let (head, rest) = text.split_at_checked(end)?;
    let mut lines = Lines(head);
    let request_line = lines.next()?;
    let request_line = request_line
        .strip_suffix(b" HTTP/1.0")
        .or_else(|| request_line.strip_suffix(b" HTTP/1.1"))?;
    let mut out = Vec::with_capacity(text.len() + 128);
    out.extend_from_slice(request_line);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut host_seen = false;
    for line in lines {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        let value = value.get(1..)?.trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            host_seen = true;
            let wrong = value.is_empty() || edit.wrong_hosts.contains(&value);
            put(&mut out, b"Host", if wrong { edit.host.as_bytes() } else { value });
        } else if !is_dropped(name, value, edit) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    if !host_seen {
        put(&mut out, b"Host", edit.host.as_bytes());
    }
    if let Some(version) = edit.version {
        put(&mut out, b"anthropic-version", version.as_bytes());
    }
    out.extend_from_slice(rest.strip_prefix(b"\r\n")?);
    Some(out)
}

/// The name of a `server` line of an upstream block, without its port.
#[must_use]
pub fn host_of_server(name: &str) -> &str {
    if name.starts_with("unix:") {
        return "localhost";
    }
    if name.starts_with('[') {
        return name.split_inclusive(']').next().unwrap_or(name);
    }
    name.split(':').next().unwrap_or(name)
}

fn is_dropped(name: &[u8], value: &[u8], edit: &HeadEdit<'_>) -> bool {
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    let starts_with = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    // "close" is what the proxy module writes by itself; it would end every keep-alive.
    is("connection") && value.eq_ignore_ascii_case(b"close")
        || DROPPED.iter().any(|word| is(word))
        || edit.version.is_some() && is("anthropic-version")
        || starts_with(edit.own_prefix)
}

fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr::memmem::find(self.0, b"\r\n").unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(head: &str) -> String {
        let change = HeadEdit {
            host: "api.one.test",
            wrong_hosts: &[b"one_up", b"gateway.test"],
            version: Some("2023-06-01"),
            own_prefix: "x-llm-",
        };
        String::from_utf8(edit(head.as_bytes(), &change).unwrap()).unwrap()
    }

    #[test]
    fn nginx_defaults_become_the_providers_own() {
        let head = "POST /v1/messages HTTP/1.0\r\nHost: one_up\r\nConnection: close\r\n\
                    Accept-Encoding: gzip\r\nX-LLM-Tag: a\r\nanthropic-version: 1\r\nA: b\r\n\r\nbody";
        assert_eq!(
            edited(head),
            "POST /v1/messages HTTP/1.1\r\nHost: api.one.test\r\nA: b\r\n\
             anthropic-version: 2023-06-01\r\n\r\nbody"
        );
    }

    #[test]
    fn an_operators_own_host_stays() {
        let head = "GET / HTTP/1.1\r\nhost: other.test\r\nConnection: upgrade\r\n\r\n";
        assert!(edited(head).contains("Host: other.test\r\nConnection: upgrade\r\n"));
    }

    #[test]
    fn an_empty_or_absent_host_and_the_clients_are_never_sent() {
        for line in ["", "Host: \r\n", "Host: gateway.test\r\n"] {
            let head = format!("GET / HTTP/1.1\r\n{line}\r\n");
            assert!(edited(&head).contains("Host: api.one.test\r\n"), "{line}");
        }
    }

    #[test]
    fn the_host_of_a_server_has_no_port() {
        assert_eq!(host_of_server("api.one.test:443"), "api.one.test");
        assert_eq!(host_of_server("[::1]:443"), "[::1]");
        assert_eq!(host_of_server("unix:/run/x.sock"), "localhost");
    }
}
