//! [`Admin`] over the socket of a running host. One connection a call; the first answer decides whether the two understand each other.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::lines::{LineBody, Lines, ProduceLine};
use super::socket::socket_path;
use super::{
    About, Admin, AdminError, Answer, CreateTopic, DeadLetterDetail, DeadLetterId, DeadPage, DeadQuery, DeleteGroup,
    DeleteTopic, ErrorCode, GroupDeleted, GroupDetail, GroupSummary, PROTOCOL, ProduceResult, ReadPage, ReadQuery,
    Record, RecordsPage, RecordsQuery, RedriveRequest, RedriveResult, ResetGroup, ResetResult, TopicDeleted,
    TopicDetail, TopicSummary, directory_identity,
};

/// Largest answer that is taken: ten thousand records or dead letters fit many times over.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A call that has lasted this long is no error: the host is asked whether it is still there, and asked again after as long.
const ASK_AFTER: Duration = Duration::from_secs(5);
/// A host that does not even say who it is for this long is taken for suspended or stuck.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// A running host, asked over its socket. No call outlasts the host: one that stops answering anything is an error
/// ([`ErrorCode::Unavailable`]) within 10 s.
#[derive(Clone, Debug)]
pub struct AdminClient {
    socket: PathBuf,
    about: About,
    /// Who listens, as the kernel says.
    listener: Option<i32>,
}

impl AdminClient {
    /// The host that runs on `data_dir`; `None` if nobody listens there. [`ErrorCode::Ended`] if it ends at this moment.
    pub async fn connect(data_dir: &Path) -> Result<Option<Self>, AdminError> {
        let socket = socket_path(data_dir);
        let stream = match UnixStream::connect(&socket).await {
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(unreachable_host(&socket, &error)),
            Ok(stream) => stream,
        };
        let this_process = About::this_process();
        let unasked = Self {
            socket,
            about: this_process.clone(),
            listener: stream.peer_cred().ok().and_then(|credentials| credentials.pid()),
        };
        drop(stream);
        let about = unasked.ask().await?;
        let own = directory_identity(data_dir);
        if about.directory.is_some() && own.is_some() && about.directory != own {
            // The place of the socket was copied with the directory: it is the original's.
            return Ok(None);
        }
        if about.protocol == PROTOCOL {
            return Ok(Some(Self { about, ..unasked }));
        }
        let message = format!(
            "the host (process {}, version {}) speaks admin protocol {}, this command (version {}) speaks {PROTOCOL}",
            about.pid, about.version, about.protocol, this_process.version
        );
        let hint = format!(
            "use the sharemill command of version {}, or restart the host with this one",
            about.version
        );
        Err(AdminError::new(ErrorCode::Protocol, message).hint(hint))
    }

    /// The host's process id.
    pub fn pid(&self) -> u32 {
        self.about.pid
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, request: &impl Serialize) -> Result<T, AdminError> {
        let body = serde_json::to_vec(request).map_err(|error| not_understood(&error))?;
        self.call(Method::POST, path, Bytes::from(body)).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, AdminError> {
        self.exchange(method, path, Full::new(body), whole).await
    }

    /// Who answers, if anybody does within [`SILENCE_MAX`].
    async fn ask(&self) -> Result<About, AdminError> {
        self.asked(SILENCE_MAX).await.unwrap_or_else(|| Err(self.silent()))
    }

    /// Whatever the host says when it is asked who it is; `None` if it says nothing for so long.
    async fn asked(&self, limit: Duration) -> Option<Result<About, AdminError>> {
        let asked = self.exchange_with(Method::GET, "/v1", Full::new(Bytes::new()), whole);
        tokio::time::timeout(limit, asked).await.ok()
    }

    /// Resolves when the host does not answer any more. A host that is gone ends the connection itself.
    async fn silence(&self) -> AdminError {
        loop {
            tokio::time::sleep(ASK_AFTER).await;
            // Twice: an answer may lie there unread while this process waits for its own output to be taken.
            if self.asked(SILENCE_MAX / 2).await.is_none() && self.asked(SILENCE_MAX / 2).await.is_none() {
                return self.silent();
            }
        }
    }

    fn silent(&self) -> AdminError {
        let (who, look) = self.listener.map_or_else(
            || ("the host".to_owned(), String::new()),
            |pid| {
                let look =
                    format!("; ps -o stat= -p {pid} says T for a suspended one, and kill -CONT {pid} lets it go on");
                (format!("the host (process {pid})"), look)
            },
        );
        let silence = SILENCE_MAX.as_secs();
        let message = format!("{who} has the data directory and has not answered for {silence} s");
        AdminError::new(ErrorCode::Unavailable, message).hint(format!("it is suspended or stuck{look}"))
    }

    /// Sends one request and lets `read` take the answer, if it is not an error, as long as the host is there.
    async fn exchange<B, T>(
        &self,
        method: Method,
        path: &str,
        body: B,
        read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, AdminError>,
    ) -> Result<T, AdminError>
    where
        B: Body<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        tokio::select! {
            answer = self.exchange_with(method, path, body, read) => answer,
            silent = self.silence() => Err(silent),
        }
    }

    /// The same without an end, while the connection is driven.
    async fn exchange_with<B, T>(
        &self,
        method: Method,
        path: &str,
        body: B,
        read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, AdminError>,
    ) -> Result<T, AdminError>
    where
        B: Body<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // What changes nothing can be asked again after any end of the connection.
        let repeatable = method == Method::GET;
        let lost = move |error: hyper::Error| connection_lost(&error, repeatable);
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| unreachable_host(&self.socket, &error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .body(body)
            .map_err(|error| AdminError::new(ErrorCode::Invalid, format!("cannot ask for {path}: {error}")))?;
        let answered = async {
            let response = sender.send_request(request).await.map_err(lost)?;
            if response.status().is_success() {
                read(response).await
            } else {
                Err(error_of(response).await)
            }
        };
        tokio::pin!(answered, connection);
        tokio::select! {
            answer = &mut answered => answer,
            // What arrived before the end can still be read; what did not is an error there.
            _ = &mut connection => answered.await,
        }
    }

    async fn stream(
        &self,
        topic: &str,
        patience: Duration,
        records: mpsc::Receiver<Record>,
        results: mpsc::Sender<ProduceResult>,
    ) -> Result<(), AdminError> {
        let path = format!("/v1/topics/{}/records?wait_ms={}", encoded(topic), patience.as_millis());
        let body = LineBody::of(records);
        self.exchange(Method::POST, &path, body, async |response| {
            let mut lines = Lines::new(response.into_body());
            while let Some(line) = lines.next().await? {
                match serde_json::from_slice(&line).map_err(|error| not_understood(&error))? {
                    ProduceLine::End { end: Some(error) } => return Err(error),
                    ProduceLine::End { end: None } => return Ok(()),
                    ProduceLine::Result(result) => {
                        if results.send(result).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
            Err(AdminError::new(
                ErrorCode::Unavailable,
                "the host ended the stream before its last result",
            ))
        })
        .await
    }
}

impl Admin for AdminClient {
    fn about(&self) -> Answer<'_, About> {
        Box::pin(async { self.get("/v1").await })
    }

    fn topics(&self) -> Answer<'_, Vec<TopicSummary>> {
        Box::pin(async { self.get("/v1/topics").await })
    }

    fn topic<'a>(&'a self, topic: &'a str) -> Answer<'a, TopicDetail> {
        Box::pin(async { self.get(&format!("/v1/topics/{}", encoded(topic))).await })
    }

    fn create_topic(&self, request: CreateTopic) -> Answer<'_, TopicDetail> {
        Box::pin(async move { self.post("/v1/topics", &request).await })
    }

    fn delete_topic<'a>(&'a self, topic: &'a str, request: DeleteTopic) -> Answer<'a, TopicDeleted> {
        Box::pin(async move {
            let path = format!("/v1/topics/{}?force={}", encoded(topic), request.force);
            self.call(Method::DELETE, &path, Bytes::new()).await
        })
    }

    fn produce<'a>(
        &'a self,
        topic: &'a str,
        patience: Duration,
        records: mpsc::Receiver<Record>,
        results: mpsc::Sender<ProduceResult>,
    ) -> Answer<'a, ()> {
        Box::pin(self.stream(topic, patience, records, results))
    }

    fn read<'a>(&'a self, topic: &'a str, query: ReadQuery) -> Answer<'a, ReadPage> {
        let fields = [
            ("partition", query.partition.map(|number| number.to_string())),
            ("from", query.from.map(|offset| offset.to_string())),
            ("limit", query.limit.map(|count| count.to_string())),
        ];
        let path = format!("/v1/topics/{}/records{}", encoded(topic), query_string(&fields));
        Box::pin(async move { self.get(&path).await })
    }

    fn groups(&self) -> Answer<'_, Vec<GroupSummary>> {
        Box::pin(async { self.get("/v1/groups").await })
    }

    fn group<'a>(&'a self, group: &'a str) -> Answer<'a, GroupDetail> {
        Box::pin(async { self.get(&format!("/v1/groups/{}", encoded(group))).await })
    }

    fn reset_group<'a>(&'a self, group: &'a str, request: ResetGroup) -> Answer<'a, ResetResult> {
        Box::pin(async move {
            self.post(&format!("/v1/groups/{}/reset", encoded(group)), &request)
                .await
        })
    }

    fn delete_group<'a>(&'a self, group: &'a str, request: DeleteGroup) -> Answer<'a, GroupDeleted> {
        Box::pin(async move {
            let path = format!("/v1/groups/{}?force={}", encoded(group), request.force);
            self.call(Method::DELETE, &path, Bytes::new()).await
        })
    }

    fn records<'a>(&'a self, group: &'a str, query: RecordsQuery) -> Answer<'a, RecordsPage> {
        let states: Vec<&str> = query.states.iter().map(|state| state.as_str()).collect();
        let fields = [
            ("topic", query.topic.clone()),
            ("partition", query.partition.map(|number| number.to_string())),
            ("state", (!states.is_empty()).then(|| states.join(","))),
            ("from", query.from.map(|offset| offset.to_string())),
            ("limit", Some(query.limit.to_string())),
        ];
        let path = format!("/v1/groups/{}/records{}", encoded(group), query_string(&fields));
        Box::pin(async move { self.get(&path).await })
    }

    fn dead_letters(&self, query: DeadQuery) -> Answer<'_, DeadPage> {
        let fields = [
            ("group", query.filter.group),
            ("topic", query.filter.topic),
            ("cause", query.filter.cause.map(|cause| cause.as_str().to_owned())),
            ("limit", Some(query.limit.to_string())),
        ];
        let path = format!("/v1/dead-letters{}", query_string(&fields));
        Box::pin(async move { self.get(&path).await })
    }

    fn dead_letter(&self, id: DeadLetterId) -> Answer<'_, DeadLetterDetail> {
        let path = format!("/v1/dead-letters/{}/{}/{}", encoded(&id.topic), id.partition, id.offset);
        Box::pin(async move { self.get(&path).await })
    }

    fn original(&self, id: DeadLetterId) -> Answer<'_, Record> {
        let DeadLetterId {
            topic,
            partition,
            offset,
        } = &id;
        let path = format!("/v1/dead-letters/{}/{partition}/{offset}/original", encoded(topic));
        Box::pin(async move { self.get(&path).await })
    }

    fn redrive(&self, request: RedriveRequest) -> Answer<'_, RedriveResult> {
        Box::pin(async move { self.post("/v1/dead-letters/redrive", &request).await })
    }
}

/// An answer that is one JSON value.
async fn whole<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, AdminError> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let bytes = body.collect().await.map_err(|error| broken(&error))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| not_understood(&error))
}

/// The error that the host gave, with the same words.
async fn error_of(response: Response<Incoming>) -> AdminError {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let error = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
    error.unwrap_or_else(|| {
        AdminError::new(
            ErrorCode::Protocol,
            format!("the host answered {status} without a reason"),
        )
    })
}

/// There is no socket, or nobody behind it: what a dead process leaves. Where the path is too long for a socket, a host binds one elsewhere
/// and says so beside it.
fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidInput
    )
}

fn unreachable_host(socket: &Path, error: &io::Error) -> AdminError {
    let message = format!("cannot reach the host at {}: {error}", socket.display());
    let code = if is_nobody(error) {
        ErrorCode::Ended
    } else {
        ErrorCode::Unavailable
    };
    let failure = AdminError::new(code, message);
    match error.kind() {
        io::ErrorKind::PermissionDenied => failure.hint("run the command as the user that the host runs as"),
        _ => failure,
    }
}

fn connection_lost(error: &hyper::Error, repeatable: bool) -> AdminError {
    let of_connection = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some();
    let closed = error.is_incomplete_message() || error.is_canceled() || error.is_closed() || of_connection;
    let failure = broken(error);
    if closed && repeatable {
        AdminError {
            code: ErrorCode::Ended,
            ..failure
        }
    } else {
        failure
    }
}

fn broken(error: &dyn std::fmt::Display) -> AdminError {
    AdminError::new(
        ErrorCode::Unavailable,
        format!("the connection to the host broke: {error}"),
    )
}

fn not_understood(error: &serde_json::Error) -> AdminError {
    AdminError::new(
        ErrorCode::Protocol,
        format!("the host's answer is not understood: {error}"),
    )
}

fn query_string(fields: &[(&str, Option<String>)]) -> String {
    let given = fields
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_deref()?))));
    let given: Vec<String> = given.collect();
    if given.is_empty() {
        String::new()
    } else {
        format!("?{}", given.join("&"))
    }
}

/// Percent-encodes everything but letters, digits, `-`, `.`, `_` and `~`.
fn encoded(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}
