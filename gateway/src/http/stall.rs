//! A connection that gives up on a peer who stops reading.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

pin_project! {
    /// Fails a write that makes no progress for `patience`. Reads pass: their time-outs are the request's.
    pub(crate) struct WriteStall<S> {
        #[pin]
        stream: S,
        patience: Duration,
        // Running while a write waits.
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<S> WriteStall<S> {
    pub(crate) const fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, timer: None }
    }
}

/// `Pending` becomes an error once the timer has run out; anything else stops the timer.
fn judge<T>(
    mut timer: Pin<&mut Option<Sleep>>,
    patience: Duration,
    context: &mut Context<'_>,
    result: Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    if result.is_ready() {
        timer.set(None);
        return result;
    }
    if timer.is_none() {
        timer.set(Some(sleep_until(Instant::now() + patience)));
    }
    if let Some(sleep) = timer.as_pin_mut() {
        ready!(sleep.poll(context));
        return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer stopped reading")));
    }
    Poll::Pending
}

impl<S: AsyncRead> AsyncRead for WriteStall<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_read(context, buffer)
    }
}

impl<S: AsyncWrite> AsyncWrite for WriteStall<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        let result = this.stream.poll_write(context, bytes);
        judge(this.timer, *this.patience, context, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let result = this.stream.poll_write_vectored(context, slices);
        judge(this.timer, *this.patience, context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let result = this.stream.poll_flush(context);
        judge(this.timer, *this.patience, context, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let result = this.stream.poll_shutdown(context);
        judge(this.timer, *this.patience, context, result)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_stops_reading_is_given_up() {
        let (near, _far) = tokio::io::duplex(16);
        let mut near = Box::pin(WriteStall::new(near, Duration::from_secs(5)));
        near.write_all(&[0; 16]).await.unwrap();
        let begun = Instant::now();
        let error = near.write_all(&[0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }
}
