//! Answers that never end by themselves, ended when the server stops.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;
use tonic::body::Body;

use super::Closing;

pin_project_lite::pin_project! {
    /// A body that gives way to the status `UNAVAILABLE` once the server stops.
    pub(super) struct UntilClosing {
        #[pin]
        body: Body,
        #[pin]
        closing: WaitForCancellationFutureOwned,
        ended: bool,
    }
}

impl UntilClosing {
    pub(super) fn wrap(body: Body, closing: Closing) -> Body {
        Body::new(Self { body, closing: closing.0.cancelled_owned(), ended: false })
    }
}

impl http_body::Body for UntilClosing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        if this.closing.poll(cx).is_ready() {
            *this.ended = true;
            let mut trailers = HeaderMap::new();
            Status::unavailable("the server is stopping").add_header(&mut trailers)?;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        this.body.poll_frame(cx)
    }
}
