//! How do the bytes of an answer reach the response filter without being copied? `stream` and `tap`
//! send what they let through to a [`Sink`], as ranges of the chunk wherever that is possible.

use std::ops::Range;

/// Takes what is to be sent on, in order.
pub trait Sink {
    /// Bytes of the chunk that is being fed, unchanged; neighbouring ranges come as one.
    fn pass(&mut self, range: Range<usize>);
    /// Bytes that are not in the chunk. They are gone when the call returns.
    fn own(&mut self, bytes: &[u8]);
}

/// A sink for those who only want to know what a stream says.
impl Sink for () {
    fn pass(&mut self, _: Range<usize>) {}
    fn own(&mut self, _: &[u8]) {}
}

/// Joins neighbouring ranges on their way to the sink.
pub(crate) struct Output<'a, S> {
    sink: &'a mut S,
    pending: Range<usize>,
}

impl<'a, S: Sink> Output<'a, S> {
    pub fn new(sink: &'a mut S) -> Self {
        Self { sink, pending: 0..0 }
    }

    pub fn flush(&mut self) {
        let range = std::mem::take(&mut self.pending);
        if !range.is_empty() {
            self.sink.pass(range);
        }
    }
}

impl<S: Sink> Sink for Output<'_, S> {
    fn pass(&mut self, range: Range<usize>) {
        if range.start == self.pending.end {
            self.pending.end = range.end;
            return;
        }
        self.flush();
        self.pending = range;
    }

    fn own(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.flush();
            self.sink.own(bytes);
        }
    }
}

/// Sends ranges of the carry buffer, which is no part of the chunk.
pub(crate) struct Carried<'a, S> {
    pub bytes: &'a [u8],
    pub out: &'a mut S,
}

impl<S: Sink> Sink for Carried<'_, S> {
    fn pass(&mut self, range: Range<usize>) {
        self.out.own(self.bytes.get(range).unwrap_or_default());
    }

    fn own(&mut self, bytes: &[u8]) {
        self.out.own(bytes);
    }
}

/// Sends ranges of a part of the chunk that begins at `by`.
pub(crate) struct Shifted<'a, S> {
    pub by: usize,
    pub out: &'a mut S,
}

impl<S: Sink> Sink for Shifted<'_, S> {
    fn pass(&mut self, range: Range<usize>) {
        self.out.pass(range.start + self.by..range.end + self.by);
    }

    fn own(&mut self, bytes: &[u8]) {
        self.out.own(bytes);
    }
}
