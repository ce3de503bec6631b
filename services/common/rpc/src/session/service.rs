//! A generated gRPC service whose `Session` goes past tonic's codec.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

use super::{SessionService, serve};
use crate::framing::{FrameReader, FrameWriter};
use crate::server::Closing;

const SESSION: &str = "Session";

/// Serves `<service>/Session` itself and leaves all other methods to the generated `inner` service. On the wire it is
/// the same; blocks are copied once less in each direction.
#[derive(Clone)]
pub struct WithSession<S> {
    inner: S,
    service: Arc<dyn SessionService>,
}

impl<S> WithSession<S> {
    pub fn new(inner: S, service: Arc<dyn SessionService>) -> Self {
        Self { inner, service }
    }
}

impl<S: NamedService> NamedService for WithSession<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for WithSession<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + NamedService,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path().strip_prefix('/').and_then(|path| path.split_once('/'));
        if path != Some((S::NAME, SESSION)) {
            return Either::Left(self.inner.call(request));
        }
        let closing = request.extensions().get::<Closing>().cloned();
        let frames = FrameReader::new(request.into_body());
        let answers = serve::start(self.service.clone(), frames, closing);
        let mut response = Response::new(FrameWriter::answer(answers));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Either::Right(ready(Ok(response)))
    }
}
