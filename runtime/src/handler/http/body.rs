//! Bodies within their limits: what a handler sends, and what it receives.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, WasiBody};

use super::Call;
use super::exchange::Exchange;
use super::refusal::Refusal;

/// The body of a request. What is over the limit ends it, and is left in `over` for whoever waits for the response.
pub(super) struct Sent {
    pub(super) body: WasiBody,
    pub(super) is_ended: bool,
    pub(super) bytes: u64,
    pub(super) limit: u64,
    pub(super) over: Arc<AtomicU64>,
    pub(super) call: Arc<Call>,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = pin!(&mut self.body).poll_frame(cx);
        self.is_ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.bytes = self.bytes.saturating_add(data.len() as u64);
            if self.bytes > self.limit {
                self.over.store(self.bytes, Ordering::Relaxed);
                return Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(self.bytes)))));
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The request has come to nothing, or its server has enough. What the handler still writes goes nowhere then: told that the stream is
/// closed, it would take that for its answer, and never hear of the other one. Until it ends the body, or its call ends, it counts as one
/// more request that is under way.
impl Drop for Sent {
    fn drop(&mut self) {
        if self.is_ended || self.body.is_end_stream() {
            return;
        }
        let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut body = std::mem::replace(&mut self.body, nothing);
        let call = self.call.clone();
        let under_way = call.under_way.clone();
        let rest = async move { while let Some(Ok(_)) = body.frame().await {} };
        // Without a runtime nobody writes any more.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                tokio::select! {
                    () = rest => {}
                    () = call.over.cancelled() => {}
                }
                drop(under_way);
            });
        }
    }
}

/// The body of a response.
pub(super) struct Received {
    pub(super) body: Incoming,
    pub(super) exchange: Arc<Exchange>,
    pub(super) bytes: u64,
    pub(super) between: Duration,
    /// Armed while the handler waits for more.
    pub(super) waiting: Option<Pin<Box<Sleep>>>,
}

impl Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let refused = |refusal: Refusal| Poll::Ready(Some(Err(this.exchange.refuse(&refusal))));
        let frame = match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let between = this.between;
                let waiting = this
                    .waiting
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(between)));
                return match waiting.as_mut().poll(cx) {
                    Poll::Ready(()) => refused(Refusal::BetweenBytesTimeout {
                        origin: this.exchange.origin().clone(),
                        within: between,
                    }),
                    Poll::Pending => Poll::Pending,
                };
            }
        };
        this.waiting = None;
        match frame {
            None => Poll::Ready(None),
            Some(Err(error)) => refused(this.exchange.lost(&error)),
            Some(Ok(frame)) => {
                let more = frame.data_ref().map_or(0, Bytes::len) as u64;
                this.bytes = this.bytes.saturating_add(more);
                let limit = this.exchange.limits().response_bytes;
                if this.bytes > limit {
                    return refused(Refusal::ResponseBody {
                        origin: this.exchange.origin().clone(),
                        size: this.bytes,
                        limit,
                    });
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
