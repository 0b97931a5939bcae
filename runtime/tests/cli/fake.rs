//! An [`Admin`] in memory with one of everything, and a host that serves it on a data directory.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use sharemill::admin::*;
use sharemill::config::{OnFull, Retention, Start};
use tokio::sync::{mpsc, oneshot};

/// Answers like an engine with the topic `orders`, the group `enrich` and one dead letter. The record `full` is refused, and others behind it
/// are not; for the record `no room` there never is any; behind the record `broken` the engine fails.
pub(crate) struct FakeAdmin;

fn done<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    Box::pin(async { Ok(value) })
}

fn failed<'a, T: Send + 'a>(error: AdminError) -> Answer<'a, T> {
    Box::pin(async { Err(error) })
}

fn no_topic(topic: &str) -> AdminError {
    AdminError::new(ErrorCode::NotFound, format!("there is no topic {topic}")).hint("sharemill topic list names them")
}

fn no_group(group: &str) -> AdminError {
    AdminError::new(ErrorCode::NotFound, format!("there is no group {group}"))
}

pub(crate) fn full() -> AdminError {
    AdminError::new(
        ErrorCode::Full,
        "topic orders is full: 10 GiB of 10 GiB, held back by group enrich",
    )
    .hint("let the group catch up, or raise max-bytes")
}

fn topic() -> TopicDetail {
    TopicDetail {
        summary: TopicSummary {
            name: "orders".to_owned(),
            partitions: 1,
            records: Some(5),
            bytes: Some(1_500),
            max_bytes: Some(10 << 30),
            on_full: Some(OnFull::Refuse),
            retention: Some(Retention::Queue),
            groups: Some(1),
        },
        segment_bytes: Some(64 << 20),
        partition_list: vec![PartitionView {
            partition: 0,
            log_start: 2,
            log_end: 7,
            bytes: Some(1_500),
            segments: Some(1),
            brokers: None,
            failure: None,
        }],
        group_list: vec![TopicGroup {
            group: "enrich".to_owned(),
            unsettled: Some(3),
        }],
    }
}

fn group() -> GroupDetail {
    GroupDetail {
        summary: GroupSummary {
            name: "enrich".to_owned(),
            topics: vec!["orders".to_owned()],
            members: 1,
            available: Some(1),
            acquired: Some(1),
            parked: Some(1),
            lag: Some(3),
        },
        attempts: Some(5),
        delivery_count_limit: None,
        lock_ms: Some(30_000),
        start: Some(Start::Earliest),
        dead_letter: Some("orders.dead".to_owned()),
        member_list: vec![Member {
            id: "m-1".to_owned(),
            deployment: Some("enrich".to_owned()),
            acquired: Some(1),
            client_id: None,
            host: None,
            assigned: None,
        }],
        share_partitions: vec![SharePartitionView {
            topic: "orders".to_owned(),
            partition: 0,
            state_epoch: Some(1),
            start_offset: Some(2),
            end_offset: Some(6),
            log_end: 7,
            available: Some(1),
            acquired: Some(1),
            parked: Some(1),
            lag: Some(3),
            pinned_by: None,
            failure: None,
        }],
        notes: Vec::new(),
    }
}

fn records() -> Vec<RecordView> {
    let record = |offset, state, delivery_count| RecordView {
        topic: "orders".to_owned(),
        partition: 0,
        offset,
        state,
        delivery_count: Some(delivery_count),
        member: None,
        lease_left_ms: None,
        due_in_ms: None,
        strikes: Some(0),
        checkpoint_bytes: None,
    };
    vec![
        RecordView {
            member: Some("m-1".to_owned()),
            lease_left_ms: Some(12_000),
            ..record(2, RecordState::Acquired, 1)
        },
        record(3, RecordState::Acknowledged, 1),
        RecordView {
            due_in_ms: Some(90_000),
            checkpoint_bytes: Some(2_048),
            strikes: Some(1),
            ..record(4, RecordState::Parked, 2)
        },
        record(5, RecordState::Archived, 5),
        record(6, RecordState::Available, 0),
    ]
}

fn dead_letter() -> DeadLetterDetail {
    DeadLetterDetail {
        summary: DeadLetter {
            id: "orders.dead/0/0".parse().unwrap(),
            group: "enrich".to_owned(),
            source_topic: "orders".to_owned(),
            source_partition: 0,
            source_offset: 1,
            cause: "reject".to_owned(),
            reason: Some("no price at line 3 of the order that came in with the last delivery of the day".to_owned()),
            delivery_count: 2,
            timestamp: 1_700_000_000_000,
        },
        record: Record {
            key: Some(Bytes::from_static(b"\xff\x00")),
            value: Some(Bytes::from_static(b"{\"item\":\x1b[31m1}")),
            headers: vec![Header {
                name: "trace".to_owned(),
                value: Some(Bytes::from_static(b"abc")),
            }],
            partition: Some(0),
            timestamp: Some(1_699_999_999_000),
        },
        origin: None,
        module: Some("9f86d081".to_owned()),
        trap: None,
        attempts: vec!["release: later".to_owned()],
        log: vec!["warn no price".to_owned()],
        checkpoint_bytes: None,
        by_broker: false,
    }
}

impl Admin for FakeAdmin {
    fn about(&self) -> Answer<'_, About> {
        done(About::this_process())
    }

    fn topics(&self) -> Answer<'_, Vec<TopicSummary>> {
        done(vec![topic().summary])
    }

    fn topic<'a>(&'a self, name: &'a str) -> Answer<'a, TopicDetail> {
        if name == "orders" {
            done(topic())
        } else {
            failed(no_topic(name))
        }
    }

    fn create_topic(&self, request: CreateTopic) -> Answer<'_, TopicDetail> {
        if request.name == "orders" {
            return failed(AdminError::new(ErrorCode::Exists, "there is a topic orders already"));
        }
        let mut created = topic();
        created.summary.name = request.name;
        created.summary.partitions = request.partitions;
        created.summary.retention = Some(request.retention.unwrap_or(Retention::DEFAULT));
        created.summary.max_bytes = Some(request.max_bytes.unwrap_or(10 << 30));
        done(created)
    }

    fn delete_topic<'a>(&'a self, name: &'a str, request: DeleteTopic) -> Answer<'a, TopicDeleted> {
        match (name, request.force) {
            ("orders", true) => done(TopicDeleted {
                records: 5,
                bytes: Some(1_500),
            }),
            ("orders", false) => failed(
                AdminError::new(ErrorCode::Conflict, "topic orders has 5 records and the group enrich")
                    .hint("delete it anyway with --force"),
            ),
            _ => failed(no_topic(name)),
        }
    }

    fn produce<'a>(
        &'a self,
        topic: &'a str,
        patience: Duration,
        mut records: mpsc::Receiver<Record>,
        results: mpsc::Sender<ProduceResult>,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            if topic != "orders" {
                return Err(no_topic(topic));
            }
            let mut offset = 7;
            let mut index = 0;
            while let Some(record) = records.recv().await {
                let is_last = record.value.as_deref() == Some(b"goodbye");
                let outcome = match record.value.as_deref() {
                    Some(b"full") => ProduceOutcome::Refused { error: full() },
                    Some(b"fenced") => ProduceOutcome::Refused {
                        error: AdminError::new(ErrorCode::Unavailable, "the engine stopped"),
                    },
                    Some(b"no room") => {
                        let mut error = full();
                        error.message = format!("{}; nothing was taken for {patience:?}", error.message);
                        return Err(error);
                    }
                    Some(b"broken") => return Err(AdminError::new(ErrorCode::Unavailable, "the disk failed")),
                    _ => ProduceOutcome::Stored {
                        partition: record.partition.unwrap_or(0),
                        offset,
                    },
                };
                offset += u64::from(matches!(outcome, ProduceOutcome::Stored { .. }));
                if results.send(ProduceResult { index, outcome }).await.is_err() {
                    return Ok(());
                }
                index += 1;
                if is_last {
                    return Err(AdminError::new(ErrorCode::Unavailable, "the disk failed"));
                }
            }
            Ok(())
        })
    }

    fn read<'a>(&'a self, topic: &'a str, query: ReadQuery) -> Answer<'a, ReadPage> {
        if topic != "orders" {
            return failed(no_topic(topic));
        }
        let value = |offset| {
            if offset == 2 {
                None
            } else {
                Some(Bytes::from(format!("value {offset}")))
            }
        };
        let records = (query.from.unwrap_or(0)..3).map(|offset| StoredRecord {
            partition: query.partition.unwrap_or(0),
            offset,
            record: Record {
                key: Some(Bytes::from_static(b"k")),
                value: value(offset),
                timestamp: Some(1_700_000_000_000),
                ..Record::default()
            },
        });
        let limit = query.limit.unwrap_or(100) as usize;
        let mut records: Vec<_> = records.collect();
        let more = records.len() > limit;
        records.truncate(limit);
        done(ReadPage { records, more })
    }

    fn groups(&self) -> Answer<'_, Vec<GroupSummary>> {
        done(vec![group().summary])
    }

    fn group<'a>(&'a self, name: &'a str) -> Answer<'a, GroupDetail> {
        if name == "enrich" {
            done(group())
        } else {
            failed(no_group(name))
        }
    }

    fn reset_group<'a>(&'a self, name: &'a str, request: ResetGroup) -> Answer<'a, ResetResult> {
        if name != "enrich" {
            return failed(no_group(name));
        }
        if !request.force {
            let error = AdminError::new(ErrorCode::Conflict, "deployment enrich works on group enrich");
            return failed(error.hint("add --force to pause it for the reset"));
        }
        let to = if let ResetTo::Offset(offset) = request.to {
            offset.max(2)
        } else {
            0
        };
        let topic = request.topic.unwrap_or_else(|| "orders".to_owned());
        let partition = request.partition.unwrap_or(0);
        done(ResetResult {
            partitions: vec![ResetPartition {
                topic,
                partition,
                from: Some(2),
                to,
                state_epoch: Some(2),
                unsettled: 7 - to,
                is_queue: true,
            }],
            left: Vec::new(),
        })
    }

    fn delete_group<'a>(&'a self, name: &'a str, request: DeleteGroup) -> Answer<'a, GroupDeleted> {
        match (name, request.force) {
            ("enrich", true) => done(GroupDeleted {
                share_partitions: 1,
                unsettled: Some(3),
            }),
            ("enrich", false) => failed(
                AdminError::new(ErrorCode::Conflict, "group enrich has 3 unsettled records")
                    .hint("--force deletes it all the same"),
            ),
            _ => failed(no_group(name)),
        }
    }

    fn records<'a>(&'a self, name: &'a str, query: RecordsQuery) -> Answer<'a, RecordsPage> {
        if name != "enrich" {
            return failed(no_group(name));
        }
        let mut records = records();
        records.retain(|record| {
            (query.states.is_empty() || query.states.contains(&record.state))
                && query.topic.as_ref().is_none_or(|topic| *topic == record.topic)
                && query.partition.is_none_or(|partition| partition == record.partition)
                && query.from.is_none_or(|from| record.offset >= from)
        });
        let more = records.len() > query.limit as usize;
        records.truncate(query.limit as usize);
        done(RecordsPage { records, more })
    }

    fn dead_letters(&self, query: DeadQuery) -> Answer<'_, DeadPage> {
        let letter = dead_letter().summary;
        let is_meant = query.filter.group.is_none_or(|group| group == letter.group)
            && query.filter.topic.is_none_or(|topic| topic == letter.id.topic)
            && query.filter.cause.is_none_or(|cause| cause.as_str() == letter.cause);
        done(DeadPage {
            dead_letters: if is_meant { vec![letter] } else { vec![] },
            more: false,
            unreadable: vec![],
            hidden: vec![],
        })
    }

    fn dead_letter(&self, id: DeadLetterId) -> Answer<'_, DeadLetterDetail> {
        if id == dead_letter().summary.id {
            return done(dead_letter());
        }
        failed(AdminError::new(
            ErrorCode::NotFound,
            format!("there is no dead letter {id}"),
        ))
    }

    fn original(&self, id: DeadLetterId) -> Answer<'_, Record> {
        Box::pin(async move { Ok(self.dead_letter(id).await?.record) })
    }

    fn redrive(&self, request: RedriveRequest) -> Answer<'_, RedriveResult> {
        let ids = match request {
            RedriveRequest::Ids(ids) => ids,
            RedriveRequest::All(_) => vec![dead_letter().summary.id],
        };
        let mut result = RedriveResult::default();
        for id in ids {
            if id == dead_letter().summary.id {
                result.redriven.push(Redriven {
                    id,
                    topic: "orders".to_owned(),
                    partition: 0,
                    offset: 7,
                });
            } else {
                let error = AdminError::new(ErrorCode::NotFound, format!("there is no dead letter {id}"));
                result.failed.push(RedriveFailure { id, error });
            }
        }
        done(result)
    }
}

/// A host that serves [`FakeAdmin`] on a data directory until it is dropped.
pub(crate) struct FakeHost {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeHost {
    pub(crate) fn start(data_dir: &Path) -> Self {
        std::fs::create_dir_all(data_dir).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let data_dir = data_dir.to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let socket = AdminSocket::bind(&data_dir).unwrap();
                ready.send(()).unwrap();
                socket
                    .serve(Arc::new(FakeAdmin), async { stopped.await.unwrap() })
                    .await
                    .unwrap();
            });
        });
        is_ready.recv().unwrap();
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.thread.take().unwrap().join().unwrap();
    }
}
