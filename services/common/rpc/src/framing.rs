//! A session's frames as gRPC messages, without copying what they carry: tonic's codec copies every payload once on
//! each side, a sixth of what a block costs on the way.
//!
//! - **F1** What is written is what tonic reads, and the other way round (`tests/rpc/session.rs: bodies_go_both_ways`).
//! - **F2** A message longer than [`MAX_MESSAGE_BYTES`] is refused when its length is read, before it is held
//!   (`long_and_compressed_messages_are_refused_early`).

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use cairn_proto::common::v1::Frame;
use futures_util::stream::{Stream, StreamExt as _};
use http::HeaderMap;
use http_body::Body as _;
use prost::Message as _;
use tonic::Status;
use tonic::body::Body;

use crate::limits::MAX_MESSAGE_BYTES;

/// Before each message: a flag for compression, and the length in four bytes.
const HEADER_BYTES: usize = 5;
/// Data this long travels as its own piece; shorter is copied behind its frame's other fields.
const OWN_PIECE_BYTES: usize = 4096;
/// Small frames that wait together are written together up to this much.
const BATCH_BYTES: usize = 32 * 1024;
/// Messages up to this long are copied out of the receive buffer, so that what is kept of them keeps no more alive.
const COPIED_BYTES: usize = 16 * 1024;
/// What stands before the length of `Frame.data`: field 7, of wire type 2.
const DATA_KEY: u8 = 7 << 3 | 2;

/// Writes frames as the body of an HTTP/2 request or answer.
pub(crate) struct FrameWriter<S> {
    frames: S,
    batch: BytesMut,
    /// Data of the frame that ended the last batch.
    data: Bytes,
    /// What ends an answer; a request has none.
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl<S: Stream<Item = Frame> + Send + Unpin + 'static> FrameWriter<S> {
    /// The body of a request.
    pub(crate) fn request(frames: S) -> Body {
        Body::new(Self::new(frames, None))
    }

    /// The body of an answer, which ends with the status `OK`.
    pub(crate) fn answer(frames: S) -> Body {
        let mut trailers = HeaderMap::new();
        trailers.insert(Status::GRPC_STATUS, http::HeaderValue::from_static("0"));
        Body::new(Self::new(frames, Some(trailers)))
    }

    fn new(frames: S, trailers: Option<HeaderMap>) -> Self {
        Self { frames, batch: BytesMut::new(), data: Bytes::new(), trailers, ended: false }
    }
}

impl<S: Stream<Item = Frame> + Unpin> http_body::Body for FrameWriter<S> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let piece = |bytes| Poll::Ready(Some(Ok(http_body::Frame::data(bytes))));
        if !this.data.is_empty() {
            return piece(std::mem::take(&mut this.data));
        }
        while !this.ended && this.data.is_empty() && this.batch.len() < BATCH_BYTES {
            match this.frames.poll_next_unpin(cx) {
                Poll::Ready(Some(frame)) => this.data = encode(frame, &mut this.batch)?,
                Poll::Ready(None) => this.ended = true,
                Poll::Pending if this.batch.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        if !this.batch.is_empty() {
            return piece(this.batch.split().freeze());
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(http_body::Frame::trailers(trailers))))
    }
}

/// Appends `frame` to `batch`; answers the data that must follow it, if that is long.
fn encode(mut frame: Frame, batch: &mut BytesMut) -> Result<Bytes, Status> {
    let data = if frame.data.len() >= OWN_PIECE_BYTES { std::mem::take(&mut frame.data) } else { Bytes::new() };
    let mut length = frame.encoded_len();
    if !data.is_empty() {
        length += 1 + prost::length_delimiter_len(data.len()) + data.len();
    }
    let announced = u32::try_from(length).ok().filter(|_| length <= MAX_MESSAGE_BYTES);
    let announced = announced.ok_or_else(|| Status::internal("a frame is longer than any message may be"))?;
    batch.reserve(HEADER_BYTES + length - data.len() + 16);
    batch.put_u8(0);
    batch.put_u32(announced);
    let full = |error: prost::EncodeError| Status::internal(error.to_string());
    frame.encode(batch).map_err(full)?;
    if !data.is_empty() {
        batch.put_u8(DATA_KEY);
        prost::encode_length_delimiter(data.len(), batch).map_err(full)?;
    }
    Ok(data)
}

/// Reads frames from the body of an HTTP/2 request or answer.
pub(crate) struct FrameReader {
    body: Body,
    received: Chunks,
}

impl FrameReader {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, received: Chunks::default() }
    }

    /// The next frame; none at the stream's end.
    ///
    /// # Errors
    /// The connection broke, the peer ended the stream with an error, or a message is malformed.
    pub(crate) async fn message(&mut self) -> Result<Option<Frame>, Status> {
        self.next().await.transpose()
    }
}

impl Stream for FrameReader {
    type Item = Result<Frame, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(frame) = self.received.take_frame().transpose() {
                return Poll::Ready(Some(frame));
            }
            let Some(next) = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                let whole = self.received.length == 0;
                return Poll::Ready((!whole).then(|| Err(Status::internal("the stream ended inside a message"))));
            };
            match next?.into_data() {
                Ok(chunk) => self.received.push(chunk),
                Err(other) => {
                    let trailers = other.into_trailers().unwrap_or_default();
                    if let Some(status) = Status::from_header_map(&trailers)
                        && status.code() != tonic::Code::Ok
                    {
                        return Poll::Ready(Some(Err(status)));
                    }
                }
            }
        }
    }
}

/// Bytes as they came, in the pieces they came in.
#[derive(Default)]
struct Chunks {
    queue: VecDeque<Bytes>,
    length: usize,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.length += chunk.len();
            self.queue.push_back(chunk);
        }
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, Status> {
        let Some((compressed, length)) = self.peek_header() else { return Ok(None) };
        if compressed {
            return Err(Status::unimplemented("sessions are not compressed"));
        }
        if length > MAX_MESSAGE_BYTES {
            return Err(Status::out_of_range("a message is longer than any may be"));
        }
        if self.length < HEADER_BYTES + length {
            return Ok(None);
        }
        self.advance(HEADER_BYTES);
        let decoded = if length <= COPIED_BYTES {
            let mut message = BytesMut::with_capacity(length);
            message.put((&mut *self).take(length));
            Frame::decode(message.freeze())
        } else {
            Frame::decode((&mut *self).take(length))
        };
        decoded.map(Some).map_err(|error| Status::invalid_argument(format!("a frame cannot be read: {error}")))
    }

    /// Compression flag and length of the next message.
    fn peek_header(&self) -> Option<(bool, usize)> {
        let mut header = self.queue.iter().flat_map(|chunk| chunk.iter().copied());
        let compressed = header.next()? != 0;
        let mut length = 0_usize;
        for _ in 1..HEADER_BYTES {
            length = length << 8 | usize::from(header.next()?);
        }
        Some((compressed, length))
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&[], |front| front)
    }

    fn advance(&mut self, mut count: usize) {
        debug_assert!(count <= self.length);
        self.length = self.length.saturating_sub(count);
        while let Some(front) = self.queue.front_mut() {
            if front.len() > count {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.queue.pop_front();
        }
    }

    /// Without a copy where the bytes came in one piece.
    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        match self.queue.front_mut() {
            Some(front) if front.len() > count => {
                self.length -= count;
                front.split_to(count)
            }
            Some(front) if front.len() == count => {
                self.length -= count;
                self.queue.pop_front().unwrap_or_default()
            }
            Some(_) | None => {
                let mut out = BytesMut::with_capacity(count);
                out.put(self.take(count));
                out.freeze()
            }
        }
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    /// All pieces that `frames` are written as.
    pub(super) fn written(frames: &[Frame]) -> Vec<Bytes> {
        let mut body = FrameWriter::answer(stream::iter(frames.to_vec()));
        let mut cx = Context::from_waker(Waker::noop());
        let mut pieces = vec![];
        while let Poll::Ready(Some(piece)) = Pin::new(&mut body).poll_frame(&mut cx) {
            pieces.extend(piece.unwrap().into_data());
        }
        pieces
    }

    pub(super) fn read(pieces: impl IntoIterator<Item = Bytes>) -> Result<Vec<Frame>, Status> {
        let mut chunks = Chunks::default();
        let mut frames = vec![];
        for piece in pieces {
            chunks.push(piece);
            while let Some(frame) = chunks.take_frame()? {
                frames.push(frame);
            }
        }
        assert_eq!(chunks.length, chunks.queue.iter().map(Bytes::len).sum::<usize>());
        if chunks.length == 0 { Ok(frames) } else { Err(Status::internal("cut short")) }
    }

    fn some_frame() -> impl Strategy<Value = Frame> {
        let sizes = prop_oneof![0..20_usize, 4_090..4_100_usize, 16_380..16_390_usize, Just(262_144_usize)];
        (any::<u64>(), any::<u32>(), 0..600_usize, sizes, any::<bool>()).prop_map(|(id, method, head, data, last)| {
            let bytes = |length: usize| (0..length).map(|byte| byte.to_le_bytes()[0]).collect::<Bytes>();
            Frame { id, method, head: bytes(head), data: bytes(data), last, ..Frame::default() }
        })
    }

    proptest! {
        #[test]
        fn frames_round_trip_however_they_are_cut(
            frames in prop::collection::vec(some_frame(), 0..5),
            cuts in prop::collection::vec(1..70_000_usize, 1..9),
        ) {
            let whole: Bytes = written(&frames).into_iter().flatten().collect();
            let mut left = whole.clone();
            let mut cuts = cuts.into_iter().cycle();
            let pieces = std::iter::from_fn(|| {
                (!left.is_empty()).then(|| left.split_to(cuts.next().unwrap_or(1).min(left.len())))
            });
            prop_assert_eq!(read(pieces).unwrap(), frames);
        }

        #[test]
        fn garbage_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(read([Bytes::from(bytes)]));
        }
    }

    #[test]
    fn long_data_is_not_copied() {
        let data = Bytes::from(vec![1; 262_144]);
        let frame = Frame { id: 1, data: data.clone(), ..Frame::default() };
        let pieces = written(&[frame]);
        assert_eq!(pieces.last().unwrap().as_ptr(), data.as_ptr());
        assert_eq!(read(pieces).unwrap()[0].data.as_ptr(), data.as_ptr());
    }

    #[test]
    fn small_frames_travel_together() {
        let frames: Vec<_> = (1..100).map(|id| Frame { id, method: 1, ..Frame::default() }).collect();
        assert_eq!(written(&frames).len(), 1);
    }

    #[test]
    fn long_and_compressed_messages_are_refused_early() {
        assert!(read([Bytes::from_static(&[0, 0xff, 0, 0, 0])]).is_err());
        assert!(read([Bytes::from_static(&[1, 0, 0, 0, 0])]).is_err());
    }
}
