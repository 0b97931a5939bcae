//! The admin interface over HTTP: routes to [`Admin`] calls, errors to JSON. Knows no socket; the same router can be bound to TCP.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::lines::{Last, LineBody, Lines, ProduceLine, push_line};
use super::{
    Admin, AdminError, CreateTopic, DeadFilter, DeadLetterId, DeadQuery, DeleteGroup, DeleteTopic, ErrorCode,
    PRODUCE_BUFFER, ProduceResult, ReadQuery, Record, RecordState, RecordsQuery,
};

type Shared = State<Arc<dyn Admin>>;
type Answered = Result<Response, AdminError>;

/// Largest body of a request that is no produce stream.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Every route under `/v1`.
pub fn router(admin: Arc<dyn Admin>) -> Router {
    Router::new()
        .route("/v1", get(about))
        .route("/v1/topics", get(topics).post(create_topic))
        .route("/v1/topics/{topic}", get(topic).delete(delete_topic))
        .route("/v1/topics/{topic}/records", get(read).post(produce))
        .route("/v1/groups", get(groups))
        .route("/v1/groups/{group}", get(group).delete(delete_group))
        .route("/v1/groups/{group}/reset", post(reset_group))
        .route("/v1/groups/{group}/records", get(records))
        .route("/v1/dead-letters", get(dead_letters))
        .route("/v1/dead-letters/redrive", post(redrive))
        .route("/v1/dead-letters/{topic}/{partition}/{offset}", get(dead_letter))
        .route("/v1/dead-letters/{topic}/{partition}/{offset}/original", get(original))
        .fallback(async || AdminError::new(ErrorCode::NotFound, "there is no such path in protocol version 1"))
        .method_not_allowed_fallback(async || AdminError::new(ErrorCode::Invalid, "the path does not take this method"))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(admin)
}

async fn about(State(admin): Shared) -> Answered {
    answer(&admin.about().await?)
}

async fn topics(State(admin): Shared) -> Answered {
    answer(&admin.topics().await?)
}

async fn topic(State(admin): Shared, name: Result<Path<String>, PathRejection>) -> Answered {
    answer(&admin.topic(&path(name)?).await?)
}

async fn create_topic(State(admin): Shared, body: Result<Bytes, BytesRejection>) -> Answered {
    answer(&admin.create_topic(parsed::<CreateTopic>(body)?).await?)
}

async fn delete_topic(
    State(admin): Shared,
    name: Result<Path<String>, PathRejection>,
    request: Result<Query<DeleteTopic>, QueryRejection>,
) -> Answered {
    answer(&admin.delete_topic(&path(name)?, query(request)?).await?)
}

async fn read(
    State(admin): Shared,
    name: Result<Path<String>, PathRejection>,
    request: Result<Query<ReadQuery>, QueryRejection>,
) -> Answered {
    let mut request = query(request)?;
    request.limit = Some(limit(request.limit)?);
    answer(&admin.read(&path(name)?, request).await?)
}

async fn groups(State(admin): Shared) -> Answered {
    answer(&admin.groups().await?)
}

async fn group(State(admin): Shared, name: Result<Path<String>, PathRejection>) -> Answered {
    answer(&admin.group(&path(name)?).await?)
}

async fn reset_group(
    State(admin): Shared,
    name: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Answered {
    answer(&admin.reset_group(&path(name)?, parsed(body)?).await?)
}

async fn delete_group(
    State(admin): Shared,
    name: Result<Path<String>, PathRejection>,
    request: Result<Query<DeleteGroup>, QueryRejection>,
) -> Answered {
    answer(&admin.delete_group(&path(name)?, query(request)?).await?)
}

/// [`RecordsQuery`] as a query string: states are separated by commas.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordsFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
}

async fn records(
    State(admin): Shared,
    name: Result<Path<String>, PathRejection>,
    fields: Result<Query<RecordsFields>, QueryRejection>,
) -> Answered {
    let fields = query(fields)?;
    let words = fields
        .state
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .filter(|word| !word.is_empty());
    let request = RecordsQuery {
        topic: fields.topic,
        partition: fields.partition,
        states: words.map(state_of).collect::<Result<_, _>>()?,
        from: fields.from,
        limit: limit(fields.limit)?,
    };
    answer(&admin.records(&path(name)?, request).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadFields {
    group: Option<String>,
    topic: Option<String>,
    cause: Option<String>,
    limit: Option<u32>,
}

async fn dead_letters(State(admin): Shared, fields: Result<Query<DeadFields>, QueryRejection>) -> Answered {
    let fields = query(fields)?;
    let filter = DeadFilter {
        group: fields.group,
        topic: fields.topic,
        cause: fields.cause.map(|text| text.parse()).transpose().map_err(invalid)?,
    };
    answer(
        &admin
            .dead_letters(DeadQuery {
                filter,
                limit: limit(fields.limit)?,
            })
            .await?,
    )
}

/// Names a dead letter in a path.
type Place = Result<Path<(String, u32, u64)>, PathRejection>;

async fn dead_letter(State(admin): Shared, place: Place) -> Answered {
    answer(&admin.dead_letter(letter_at(place)?).await?)
}

async fn original(State(admin): Shared, place: Place) -> Answered {
    answer(&admin.original(letter_at(place)?).await?)
}

fn letter_at(place: Place) -> Result<DeadLetterId, AdminError> {
    let Path((topic, partition, offset)) = place.map_err(invalid)?;
    Ok(DeadLetterId {
        topic,
        partition,
        offset,
    })
}

async fn redrive(State(admin): Shared, body: Result<Bytes, BytesRejection>) -> Answered {
    answer(&admin.redrive(parsed(body)?).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProduceFields {
    wait_ms: Option<u64>,
}

/// Takes records as they arrive and answers as they are stored; both sides wait for each other through bounded channels.
async fn produce(
    State(admin): Shared,
    name: Result<Path<String>, PathRejection>,
    fields: Result<Query<ProduceFields>, QueryRejection>,
    body: Body,
) -> Answered {
    let topic = path(name)?;
    let patience = Duration::from_millis(query(fields)?.wait_ms.unwrap_or(0));
    let (record_sender, record_receiver) = mpsc::channel(PRODUCE_BUFFER);
    let (result_sender, result_receiver) = mpsc::channel::<ProduceResult>(PRODUCE_BUFFER);
    let work = async move {
        let mut lines = Lines::new(body);
        let stored = admin.produce(&topic, patience, record_receiver, result_sender);
        let (read, stored) = tokio::join!(read_records(&mut lines, record_sender), stored);
        // If the engine failed, the reader merely found its channel closed.
        (stored.and(read), lines)
    };
    let last = |(outcome, lines): (Result<(), AdminError>, Lines<Body>)| {
        let mut line = Vec::new();
        let pushed = push_line(&mut line, &ProduceLine::End { end: outcome.err() });
        Last {
            line: pushed.ok().map(|()| Bytes::from(line)),
            // A client that is still sending would find the connection broken, and not read why.
            rest: Some(Box::pin(lines.discard())),
        }
    };
    let body = Body::new(LineBody::new(result_receiver, work, last));
    Ok((
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))],
        body,
    )
        .into_response())
}

async fn read_records(lines: &mut Lines<Body>, records: mpsc::Sender<Record>) -> Result<(), AdminError> {
    loop {
        let line = tokio::select! {
            biased;
            // The engine has failed and says why; the client may be in no hurry to send more.
            () = records.closed() => return Ok(()),
            line = lines.next() => line?,
        };
        let Some(line) = line else { return Ok(()) };
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let record = serde_json::from_slice(&line).map_err(|error| {
            AdminError::new(
                ErrorCode::Invalid,
                format!("line {} is no record: {error}", lines.number()),
            )
        })?;
        // A failure is seen above.
        let _ = records.send(record).await;
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = answer(&self).unwrap_or_else(|_| Response::default());
        *response.status_mut() = status;
        response
    }
}

fn answer(value: &impl Serialize) -> Answered {
    let body = serde_json::to_vec(value)
        .map_err(|error| AdminError::new(ErrorCode::Internal, format!("cannot write the answer as JSON: {error}")))?;
    Ok((
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        body,
    )
        .into_response())
}

fn path(name: Result<Path<String>, PathRejection>) -> Result<String, AdminError> {
    name.map(|Path(name)| name).map_err(invalid)
}

fn query<T>(fields: Result<Query<T>, QueryRejection>) -> Result<T, AdminError> {
    fields.map(|Query(fields)| fields).map_err(invalid)
}

fn parsed<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, AdminError> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the request is larger than the limit of {REQUEST_BYTES_MAX} bytes");
            AdminError::new(ErrorCode::TooLarge, message)
        }
        _ => invalid(rejection),
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| AdminError::new(ErrorCode::Invalid, format!("the request is not understood: {error}")))
}

fn limit(limit: Option<u32>) -> Result<u32, AdminError> {
    const MAX: u32 = 10_000;
    match limit {
        None => Ok(100),
        Some(limit @ 1..=MAX) => Ok(limit),
        Some(limit) => Err(AdminError::new(
            ErrorCode::Invalid,
            format!("limit is {limit}, outside of 1 to {MAX}"),
        )),
    }
}

fn state_of(word: &str) -> Result<RecordState, AdminError> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|_| AdminError::new(ErrorCode::Invalid, format!("\"{word}\" is no state of a record")))
}

fn invalid(rejection: impl std::fmt::Display) -> AdminError {
    AdminError::new(ErrorCode::Invalid, rejection.to_string())
}
