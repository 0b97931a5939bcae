//! Everything that an engine has, in lines of text that can be compared and read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::harness::Running;
use crate::engine::Engine;
use crate::error::AdminError;
use crate::ids::Offset;

/// Topics, groups, share partitions and logs by name.
pub(super) type Image = BTreeMap<String, Part>;

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) lines: Vec<String>,
    /// What could not be read of it.
    pub(super) errors: Vec<String>,
}

impl Running {
    pub(super) fn image(&mut self) -> Image {
        let engine = self.engine.clone();
        self.pump.wait(image(&engine))
    }
}

/// As a file that a person can read.
pub(super) fn printed(image: &Image) -> String {
    let mut text = String::new();
    for (name, part) in image {
        assert!(part.errors.is_empty(), "{name}: {:?}", part.errors);
        writeln!(text, "{name}").unwrap();
        for line in &part.lines {
            writeln!(text, "    {line}").unwrap();
        }
    }
    text
}

async fn image(engine: &Engine) -> Image {
    let mut image = Image::new();
    let mut put = |name: String, lines: Vec<String>, errors: Vec<String>| {
        image.insert(name, Part { lines, errors });
    };
    for topic in engine.topics().await.unwrap() {
        let config = serde_json::to_string(&topic.config).unwrap();
        let of = topic.dead_letters_of.as_deref().unwrap_or("nobody");
        let about = vec![config, format!("dead letters of {of}")];
        put(format!("topic {}", topic.name), about, Vec::new());
        for partition in engine.describe_topic(&topic.name).await.unwrap().partitions {
            let number = partition.partition;
            let (mut lines, errors) = log(engine, &topic.name, number, partition.start).await;
            lines.push(format!("end {}", partition.end));
            put(format!("log {}-{number}", topic.name), lines, errors);
        }
    }
    for group in engine.groups().await.unwrap() {
        let config = serde_json::to_string(&group.config).unwrap();
        put(format!("group {}", group.name), vec![config], Vec::new());
        for share in engine.describe_group(&group.name).await.unwrap().partitions {
            let (topic, partition) = (&share.topic, share.partition);
            let records = engine.records(&group.name, topic, partition, Offset::ZERO, 100_000);
            let mut lines = vec![format!("start {} epoch {}", share.start, share.epoch)];
            lines.extend(records.await.unwrap().iter().map(|one| {
                format!(
                    "{} {}, count {}, continuation {}, strikes {}, due {:?}, checkpoint {}, notes {:?}",
                    one.offset,
                    one.state,
                    one.delivery_count,
                    one.continuation,
                    one.strikes,
                    one.due_millis,
                    one.checkpoint_bytes,
                    one.notes
                )
            }));
            put(format!("share {} {topic}-{partition}", group.name), lines, Vec::new());
        }
    }
    image
}

/// The records of a partition, and what stands where some cannot be read.
async fn log(engine: &Engine, topic: &str, partition: u32, start: u64) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    let mut from = Offset::new(start).unwrap();
    loop {
        let batches = match engine.read(topic, partition, from, 1).await {
            Ok(batches) => batches,
            Err(AdminError::Unreadable { reason, resume }) => {
                errors.push(reason);
                from = Offset::new(resume).unwrap();
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let Some(last) = batches.last() else {
            return (lines, errors);
        };
        let behind = last.last().next();
        for record in batches.iter().flat_map(|batch| batch.records()) {
            let (view, _) = record.unwrap();
            if view.offset >= from {
                let headers = view
                    .headers()
                    .map(|header| (shown(Some(header.name)), shown(header.value)));
                lines.push(format!(
                    "{} at {}, key {}, value {}, headers {:?}",
                    view.offset,
                    view.timestamp.as_millis(),
                    shown(view.key),
                    shown(view.value),
                    headers.collect::<Vec<_>>()
                ));
            }
        }
        from = behind;
    }
}

/// Short ones in full, others by their length and checksum.
fn shown(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() <= 60 => String::from_utf8_lossy(bytes).into_owned(),
        Some(bytes) => {
            let first = String::from_utf8_lossy(&bytes[..20]).into_owned();
            format!(
                "{first}.. ({} bytes, checksum {:08x})",
                bytes.len(),
                crc32c::crc32c(bytes)
            )
        }
    }
}
