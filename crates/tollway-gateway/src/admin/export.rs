//! Tables for spreadsheets (RFC 4180), line by line as they are read: a million lines are never in
//! memory at once. A cell that a spreadsheet would take for a formula is made a text.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use tokio::sync::mpsc;

use super::answer::Refused;

/// How many pieces may wait for a slow reader.
const WAITING: usize = 2;

/// Where lines are put.
#[derive(Debug)]
pub(super) struct Rows(mpsc::Sender<Result<Bytes, Broken>>);

/// The rest could not be read. The connection is cut, so that nobody takes a part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the rest could not be read")]
struct Broken;

impl Rows {
    /// Sends some lines; `false` when nobody reads them any more.
    pub(super) async fn send(&self, lines: Vec<Vec<String>>) -> bool {
        let text = write(lines.iter().map(|line| line.iter().map(String::as_str)));
        self.0.send(Ok(text)).await.is_ok()
    }
}

/// An answer with these columns, whose lines `fill` puts in.
pub(super) fn stream<F>(columns: &[&str], fill: impl FnOnce(Rows) -> F) -> Response
where
    F: Future<Output = Result<(), Refused>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(WAITING);
    let head = write([columns.iter().copied()]);
    let broken = sender.clone();
    let filling = fill(Rows(sender));
    tokio::spawn(async move {
        if let Err(error) = filling.await {
            tracing::warn!(%error, "an export broke off");
            broken.send(Err(Broken)).await.ok();
        }
    });
    let mut response = Body::new(Table { head: Some(head), receiver }).into_response();
    let headers = response.headers_mut();
    headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    response
}

struct Table {
    head: Option<Bytes>,
    receiver: mpsc::Receiver<Result<Bytes, Broken>>,
}

impl http_body::Body for Table {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        self.receiver.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

fn write<'a, L>(lines: impl IntoIterator<Item = L>) -> Bytes
where
    L: IntoIterator<Item = &'a str>,
{
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for line in lines {
        let cells: Vec<String> = line.into_iter().map(cell).collect();
        writer.write_record(&cells).expect("a Vec takes everything");
    }
    writer.into_inner().expect("a Vec takes everything").into()
}

/// A spreadsheet runs what begins like a formula; with an apostrophe before it, it shows it.
fn cell(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_table_is_a_formula_or_another_cell() {
        let line = ["=1+1", "+1", "-x", "@a", "\tb", "a,\"b\"\nc", "", "1"];
        let text = write([line]);
        assert_eq!(text, "'=1+1,'+1,'-x,'@a,'\tb,\"a,\"\"b\"\"\nc\",,1\n");
    }
}
