//! The one layer between TLS and handlers: asks the table of rights.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, Either, FutureExt as _};
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::Layer;
use tower_service::Service;
use tracing::warn;

use super::Closing;
use super::ending::UntilClosing;
use crate::{CallError, PeerIdentity, rights};

#[derive(Clone)]
pub(super) struct AuthorizeLayer {
    closing: Closing,
}

impl AuthorizeLayer {
    pub(super) const fn new(closing: Closing) -> Self {
        Self { closing }
    }
}

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        Authorize { inner, closing: self.closing.clone() }
    }
}

#[derive(Clone)]
pub(super) struct Authorize<S> {
    inner: S,
    closing: Closing,
}

type Answer<E> = Result<Response<Body>, E>;

impl<S> Service<Request<Body>> for Authorize<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Either<Ready<Answer<S::Error>>, BoxFuture<'static, Answer<S::Error>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let allowed = match request.extensions().get::<PeerIdentity>() {
            Some(peer) => rights::allows(peer, path),
            None => false,
        };
        if !allowed {
            warn!(path, "call refused: the certificate's roles do not allow it");
            let why = "your certificate's roles do not allow this call".to_owned();
            return Either::Right(Either::Left(ready(Ok(Status::from(CallError::Denied(why)).into_http()))));
        }
        let endless = rights::is_endless(path);
        request.extensions_mut().insert(self.closing.clone());
        let answering = self.inner.call(request);
        if !endless {
            return Either::Left(answering);
        }
        let closing = self.closing.clone();
        let ending =
            |answer: Answer<S::Error>| answer.map(|answer| answer.map(|body| UntilClosing::wrap(body, closing)));
        Either::Right(Either::Right(answering.map(ending).boxed()))
    }
}
