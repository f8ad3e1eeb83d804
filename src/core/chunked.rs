//! Which bytes of a chunked HTTP/1.1 body are content? `attempt` asks when it looks into a response
//! before nginx has taken the framing off. It reads on from where it stopped, whatever the cuts.

/// A reader of chunked framing.
#[derive(Debug, Clone, Default)]
pub struct Dechunker {
    state: State,
    left: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    Data,
    AfterData,
    End,
}

impl Dechunker {
    /// Calls `content` with each run of content in `bytes`.
    pub fn feed(&mut self, bytes: &[u8], mut content: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            if self.state == State::Data {
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
                let (data, tail) = rest.split_at_checked(take).unwrap_or((rest, &[]));
                content(data);
                self.left -= data.len() as u64;
                rest = tail;
                if self.left == 0 {
                    self.state = State::AfterData;
                }
                continue;
            }
            rest = tail;
            self.framing(byte);
        }
    }

    /// Whether the last chunk has been seen.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == State::End
    }

    fn framing(&mut self, byte: u8) {
        match (self.state, byte) {
            (State::Size | State::Extension, b'\n') => {
                self.state = if self.left == 0 { State::End } else { State::Data };
            }
            (State::Size, b'\r') | (State::Extension | State::End | State::Data, _) => {}
            (State::Size, _) => match char::from(byte).to_digit(16) {
                Some(digit) => {
                    self.left = self.left.saturating_mul(16).saturating_add(digit.into());
                }
                None => self.state = State::Extension,
            },
            (State::AfterData, b'\n') => self.state = State::Size,
            (State::AfterData, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"5\r\nhello\r\n1;x=y\r\n \r\nB\r\nwide\r\nworld\r\n0\r\n\r\n";

    #[test]
    fn content_is_the_same_wherever_the_body_is_cut() {
        for first in 0..BODY.len() {
            for second in first..BODY.len() {
                let mut reader = Dechunker::default();
                let mut text = Vec::new();
                for part in [&BODY[..first], &BODY[first..second], &BODY[second..]] {
                    reader.feed(part, |content| text.extend_from_slice(content));
                }
                assert_eq!(text, b"hello wide\r\nworld");
                assert!(reader.is_ended());
            }
        }
    }

    #[test]
    fn a_huge_size_does_not_overflow() {
        let mut reader = Dechunker::default();
        reader.feed(b"ffffffffffffffffffff\r\nabc", |_| ());
        assert!(!reader.is_ended());
    }
}
