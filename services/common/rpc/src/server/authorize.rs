//! The one layer between TLS and handlers: asks the table of rights.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::Layer;
use tower_service::Service;
use tracing::warn;

use super::Closing;
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

impl<S> Service<Request<Body>> for Authorize<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

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
            return Either::Right(ready(Ok(Status::from(CallError::Denied(why)).into_http())));
        }
        request.extensions_mut().insert(self.closing.clone());
        Either::Left(self.inner.call(request))
    }
}
