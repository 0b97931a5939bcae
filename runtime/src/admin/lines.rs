//! Newline-delimited JSON in HTTP bodies, both ways: cuts what arrives into lines, bounds them, and packs what leaves into frames.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{AdminError, ErrorCode, ProduceResult};

/// Longest line that is taken: a record of 1 MiB whose every byte is escaped.
pub(super) const LINE_BYTES_MAX: usize = 8 << 20;

/// One line of the answer to a produce stream.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum ProduceLine {
    /// What became of a record.
    Result(ProduceResult),
    /// The last line: the whole stream was taken, or why not.
    End {
        /// Always present, null if all is well.
        end: Option<AdminError>,
    },
}

/// Reads lines from a body.
pub(super) struct Lines<B> {
    body: B,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    searched: usize,
    number: u64,
}

impl<B> Lines<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            searched: 0,
            number: 0,
        }
    }

    /// Takes what still comes, and does nothing with it.
    pub(super) async fn discard(mut self) {
        self.buffer.clear();
        while let Some(Ok(_)) = self.body.frame().await {}
    }

    /// Number of the line that was read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end; `None` where the body ends.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, AdminError> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(length) = unsearched.iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(self.searched + length + 1).freeze();
                line.truncate(line.len().saturating_sub(1));
                self.searched = 0;
                self.number += 1;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.searched > LINE_BYTES_MAX {
                let message = format!(
                    "line {} is longer than the limit of {LINE_BYTES_MAX} bytes",
                    self.number + 1
                );
                return Err(AdminError::new(ErrorCode::TooLarge, message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self
                    .buffer
                    .extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref())),
                Some(Err(error)) => {
                    return Err(AdminError::new(
                        ErrorCode::Unavailable,
                        format!("the connection broke: {error}"),
                    ));
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    self.number += 1;
                    return Ok(Some(self.buffer.split().freeze()));
                }
            }
        }
    }
}

/// A body made of what arrives on a channel, one JSON value a line. While it is read it drives `work`, the future that fills the
/// channel, and ends with the line that `last` makes of its result. Dropping the body drops the work.
pub(super) struct LineBody<T, W, F> {
    items: mpsc::Receiver<T>,
    work: Option<Pin<Box<W>>>,
    last: F,
    rest: Option<Rest>,
    batch: Vec<T>,
    ended: bool,
}

/// How a body ends.
#[derive(Default)]
pub(super) struct Last {
    /// The line.
    pub(super) line: Option<Bytes>,
    /// What is waited for behind it.
    pub(super) rest: Option<Rest>,
}

pub(super) type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<T> LineBody<T, std::future::Pending<()>, fn(()) -> Last> {
    /// A body that ends when the channel does.
    pub(super) fn of(items: mpsc::Receiver<T>) -> Self {
        Self {
            items,
            work: None,
            last: |()| Last::default(),
            rest: None,
            batch: Vec::new(),
            ended: false,
        }
    }
}

impl<T, W, O, F> LineBody<T, W, F>
where
    W: Future<Output = O>,
    F: FnMut(O) -> Last,
{
    pub(super) fn new(items: mpsc::Receiver<T>, work: W, last: F) -> Self {
        Self {
            items,
            work: Some(Box::pin(work)),
            last,
            rest: None,
            batch: Vec::new(),
            ended: false,
        }
    }
}

impl<T, W, O, F> Body for LineBody<T, W, F>
where
    T: Serialize + Unpin,
    W: Future<Output = O>,
    F: FnMut(O) -> Last + Unpin,
{
    type Data = Bytes;
    type Error = serde_json::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, serde_json::Error>>> {
        const LINES_PER_FRAME: usize = 256;
        let this = self.get_mut();
        if this.ended {
            let rest = this
                .rest
                .as_mut()
                .map_or(Poll::Ready(()), |rest| rest.as_mut().poll(context));
            return rest.map(|()| None);
        }
        let mut tail = None;
        if let Some(work) = &mut this.work
            && let Poll::Ready(output) = work.as_mut().poll(context)
        {
            this.work = None;
            tail = Some((this.last)(output));
        }
        if let Some(tail) = tail {
            // The work has dropped its sender: all that is left is in the channel already.
            let mut text = Vec::new();
            while let Ok(item) = this.items.try_recv() {
                if let Err(error) = push_line(&mut text, &item) {
                    return Poll::Ready(Some(Err(error)));
                }
            }
            text.extend_from_slice(tail.line.as_deref().unwrap_or_default());
            this.rest = tail.rest;
            this.ended = true;
            return Poll::Ready((!text.is_empty()).then(|| Ok(Frame::data(Bytes::from(text)))));
        }
        match this.items.poll_recv_many(context, &mut this.batch, LINES_PER_FRAME) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(0) if this.work.is_some() => Poll::Pending,
            Poll::Ready(0) => {
                this.ended = true;
                Poll::Ready(None)
            }
            Poll::Ready(_) => {
                let mut text = Vec::new();
                let packed = this.batch.drain(..).try_for_each(|item| push_line(&mut text, &item));
                Poll::Ready(Some(packed.map(|()| Frame::data(Bytes::from(text)))))
            }
        }
    }
}

/// One value as a line.
pub(super) fn push_line(text: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *text, value)?;
    text.push(b'\n');
    Ok(())
}
