//! How is a framed reply sent, and what goes wrong on the way?

use std::time::Duration;

use tokio::time::Instant;

use crate::answer::Fault;
use crate::frame::Framed;
use crate::record::{Ended, Running};
use crate::reply::Manner;
use crate::wire::{Connection, Gone};

const ENDLESS_BLOCK: [u8; 4096] = [b'x'; 4096];

/// Sends the reply; the connection comes back if the whole reply went out.
pub async fn send(
    mut connection: Connection,
    framed: &Framed,
    running: &mut Running<'_>,
) -> Option<Connection> {
    let mut clock = Clock::start();
    if clock.pause(&mut connection, framed.manner.delay_ms).await.is_err() {
        running.end(Ended::ClientClosed);
        return None;
    }
    match framed.manner.fault {
        Fault::Reset => {
            running.end(Ended::Fault);
            connection.reset();
            return None;
        }
        Fault::Close => {
            running.end(Ended::Fault);
            connection.cut().await;
            return None;
        }
        Fault::Hang => {
            connection.wait_gone().await;
            running.end(Ended::ClientClosed);
            return None;
        }
        _ => {}
    }
    if send_parts(&mut connection, framed, &mut clock, running).await.is_err() {
        running.end(Ended::ClientClosed);
        return None;
    }
    match framed.manner.fault {
        Fault::Stall => {
            connection.wait_gone().await;
            running.end(Ended::ClientClosed);
        }
        Fault::Cut | Fault::ShortLength => {
            running.end(Ended::Fault);
            connection.cut().await;
        }
        Fault::CutReset => {
            running.end(Ended::Fault);
            connection.reset();
        }
        _ => {
            running.end(Ended::Answered);
            return Some(connection);
        }
    }
    None
}

async fn send_parts(
    connection: &mut Connection,
    framed: &Framed,
    clock: &mut Clock,
    running: &mut Running<'_>,
) -> Result<(), Gone> {
    let manner = framed.manner;
    let mut writes = Writes { left: count_writes(framed), connection, running };
    if manner.fault == Fault::Trickle {
        for byte in framed.head.chunks(1) {
            writes.write(byte).await?;
            clock.pause(writes.connection, manner.pace_ms).await?;
        }
    } else {
        writes.write(&framed.head).await?;
    }
    if writes.left == Some(0) {
        return Ok(());
    }
    clock.pause(writes.connection, manner.first_ms).await?;
    if manner.fault == Fault::EndlessLine {
        send_endless_line(writes.connection, framed, clock).await?;
    }
    let is_cut = matches!(manner.fault, Fault::Stall | Fault::Cut | Fault::CutReset);
    let count = if is_cut { manner.after } else { framed.frames.len() };
    for (index, frame) in framed.frames.iter().take(count).enumerate() {
        if index > 0 {
            clock.pause(writes.connection, manner.pace_ms).await?;
        }
        writes.write(frame).await?;
    }
    if is_cut || framed.end.is_empty() {
        return Ok(());
    }
    writes.write(&framed.end).await
}

/// How many writes make the whole reply; `None` if it never becomes whole.
fn count_writes(framed: &Framed) -> Option<usize> {
    let body = framed.frames.len() + usize::from(!framed.end.is_empty());
    match framed.manner.fault {
        Fault::Stall | Fault::Cut | Fault::CutReset | Fault::ShortLength => None,
        Fault::EndlessLine => None,
        Fault::Trickle => Some(framed.head.len() + body),
        _ => Some(1 + body),
    }
}

/// The request is answered with the last write, not after it: then the client knows already.
struct Writes<'a, 'b> {
    left: Option<usize>,
    connection: &'a mut Connection,
    running: &'a mut Running<'b>,
}

impl Writes<'_, '_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.left = self.left.map(|left| left.saturating_sub(1));
        if self.left == Some(0) {
            self.running.end(Ended::Answered);
        }
        self.connection.write(bytes).await
    }
}

/// Sends as many bytes as asked for, or until the client has enough.
async fn send_endless_line(
    connection: &mut Connection,
    framed: &Framed,
    clock: &mut Clock,
) -> Result<(), Gone> {
    let Manner { size, pace_ms, .. } = framed.manner;
    let is_chunked = framed.end.ends_with(b"0\r\n\r\n");
    let mut left = size;
    let mut prefix: &[u8] = b"data: ";
    while left != Some(0) {
        let filler = ENDLESS_BLOCK.len() - prefix.len();
        let length = left.map_or(filler, |left| left.min(filler));
        left = left.map(|left| left - length);
        let mut block = Vec::with_capacity(ENDLESS_BLOCK.len() + 16);
        if is_chunked {
            block.extend_from_slice(format!("{:x}\r\n", prefix.len() + length).as_bytes());
        }
        block.extend_from_slice(prefix);
        block.extend(ENDLESS_BLOCK.iter().take(length));
        if is_chunked {
            block.extend_from_slice(b"\r\n");
        }
        connection.write(&block).await?;
        clock.pause(connection, pace_ms).await?;
        prefix = b"";
    }
    Ok(())
}

/// Pauses that add up: what an event took to send is not added to the pace.
struct Clock {
    next: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { next: Instant::now() }
    }

    async fn pause(&mut self, connection: &mut Connection, pause_ms: u64) -> Result<(), Gone> {
        if pause_ms == 0 {
            return Ok(());
        }
        let pause = Duration::from_millis(pause_ms);
        self.next += pause;
        // A client that read slowly gets no burst afterwards.
        let now = Instant::now();
        if self.next < now {
            self.next = now;
        }
        connection.wait_until(self.next).await
    }
}
