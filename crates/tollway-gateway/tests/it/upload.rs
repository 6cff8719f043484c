//! A request body that the test writes piece by piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

/// The test's end. Dropping it ends the body.
pub(crate) struct Upload(mpsc::Sender<Bytes>);

/// The client's end.
pub(crate) struct Pieces(mpsc::Receiver<Bytes>);

impl Upload {
    pub(crate) fn new() -> (Self, Pieces) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), Pieces(receiver))
    }

    pub(crate) async fn send(&self, piece: &'static str) {
        self.0.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
