//! A close that lets the client read the answer.
//!
//! A socket closed while bytes lie unread is reset, and a reset takes the answer away from a client that is still
//! sending (RFC 9112 §9.6). So the sending side is closed first, and what still comes is read and forgotten.

use std::future::Future as _;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The longest a connection lingers.
const LONGEST: Duration = Duration::from_secs(10);
/// The longest it waits for one more byte.
const SILENCE: Duration = Duration::from_secs(2);

/// Set by whoever answers a request whose body was not read to its end.
#[derive(Clone, Default)]
pub(crate) struct Unread(Arc<AtomicBool>);

impl Unread {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

pin_project! {
    /// Lingers at its shutdown where a body was left unread.
    pub(crate) struct Linger<S> {
        #[pin]
        stream: S,
        unread: Unread,
        // Since the sending side was closed: when it gives up at last, and when for silence.
        last: Option<Instant>,
        #[pin]
        silence: Option<Sleep>,
    }
}

impl<S> Linger<S> {
    pub(crate) const fn new(stream: S, unread: Unread) -> Self {
        Self { stream, unread, last: None, silence: None }
    }
}

impl<S: AsyncRead> AsyncRead for Linger<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for Linger<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        let last = match *this.last {
            Some(last) => last,
            None => {
                ready!(this.stream.as_mut().poll_shutdown(context))?;
                if !this.unread.is_set() {
                    return Poll::Ready(Ok(()));
                }
                *this.last.insert(Instant::now() + LONGEST)
            }
        };
        let mut scratch = [MaybeUninit::uninit(); 16 << 10];
        loop {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            match this.stream.as_mut().poll_read(context, &mut buffer) {
                // The client is done, or gone.
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if Instant::now() >= last => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => this.silence.set(None),
                Poll::Pending => break,
            }
        }
        if this.silence.is_none() {
            this.silence.set(Some(sleep_until(last.min(Instant::now() + SILENCE))));
        }
        match this.silence.as_pin_mut() {
            Some(silence) => silence.poll(context).map(Ok),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Closes one end while the other sends `bytes` and then does as `ends` says; how long the close took.
    async fn close(unread: bool, bytes: usize, ends: bool) -> Duration {
        let (near, mut far) = tokio::io::duplex(16);
        let flag = Unread::default();
        if unread {
            flag.set();
        }
        let mut near = Box::pin(Linger::new(near, flag));
        let sender = tokio::spawn(async move {
            // A close that does not linger cuts this off.
            let sent = far.write_all(&vec![0; bytes]).await;
            if !ends {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            sent
        });
        let begun = Instant::now();
        near.shutdown().await.unwrap();
        let took = begun.elapsed();
        if ends {
            assert!(sender.await.unwrap().is_ok() || !unread);
        }
        took
    }

    #[tokio::test(start_paused = true)]
    async fn what_still_comes_is_read() {
        assert!(close(true, 1 << 20, true).await < SILENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it() {
        assert_eq!(close(true, 100, false).await, SILENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_stops_is_left() {
        let (near, mut far) = tokio::io::duplex(16);
        let flag = Unread::default();
        flag.set();
        let mut near = Box::pin(Linger::new(near, flag));
        let trickle = tokio::spawn(async move {
            while far.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let begun = Instant::now();
        near.shutdown().await.unwrap();
        assert!((LONGEST..LONGEST + SILENCE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        drop(near);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_in_step_closes_at_once() {
        assert_eq!(close(false, 0, false).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_client_sees_the_end_first() {
        let (near, mut far) = tokio::io::duplex(16);
        let flag = Unread::default();
        flag.set();
        let mut near = Box::pin(Linger::new(near, flag));
        let closing = tokio::spawn(async move { near.shutdown().await });
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(!closing.is_finished());
        drop(far);
        closing.await.unwrap().unwrap();
    }
}
