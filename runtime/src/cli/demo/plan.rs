//! What is fed and what must become of it: every input knows its fate before the first one is produced.
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::files::Room;
use super::find::{Found, Text};
use super::pictures::{self, Structure};

/// The deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Handler {
    Enrich,
    Thumbnail,
    Poll,
    Webhook,
}

impl Handler {
    pub(super) const ALL: [Self; 4] = [Self::Enrich, Self::Thumbnail, Self::Poll, Self::Webhook];

    /// Name of the deployment and of its group.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Enrich => "enrich",
            Self::Thumbnail => "thumbnail",
            Self::Poll => "poll",
            Self::Webhook => "webhook",
        }
    }

    pub(super) const fn topic(self) -> &'static str {
        match self {
            Self::Enrich => "orders",
            Self::Thumbnail => "images",
            Self::Poll => "jobs",
            Self::Webhook => "events",
        }
    }
}

/// What must become of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Accepted,
    /// A dead letter by the handler's word.
    Rejected,
    /// A dead letter because its attempts ran out.
    GivenUp,
    /// Accepted or a dead letter: a file of a rare kind, of a folder that somebody named.
    Either,
}

/// One record to be produced.
pub(super) struct Input {
    pub(super) handler: Handler,
    /// Order id, file name or job name; unique in its handler.
    pub(super) name: String,
    pub(super) value: String,
    pub(super) fate: Fate,
    /// What an order's lines must be.
    pub(super) lines: Vec<Value>,
}

/// Everything to be fed.
pub(super) struct Plan {
    pub(super) inputs: Vec<Input>,
    /// Pictures that come into their folder later than their records: name and bytes.
    pub(super) late: Vec<(String, Vec<u8>)>,
}

impl Plan {
    pub(super) fn of(&self, handler: Handler) -> impl Iterator<Item = &Input> {
        self.inputs.iter().filter(move |input| input.handler == handler)
    }

    pub(super) fn count(&self, handler: Handler) -> usize {
        self.of(handler).count()
    }
}

const ORDERS: usize = 1_500;
const LINES_MAX: usize = 6;
const JOBS: usize = 24;
const EVENTS: usize = 60;
/// Fewer real pictures than this are joined by made ones.
const PICTURES_MIN: usize = 24;
const LATE: usize = 2;

/// Decides every input's fate and puts the pictures into their folder.
pub(super) fn make(found: &Found, room: &Room) -> Result<Plan> {
    let mut plan = Plan {
        inputs: Vec::new(),
        late: Vec::new(),
    };
    orders(&mut plan, &found.texts);
    pictures(&mut plan, found, room)?;
    jobs(&mut plan);
    events(&mut plan);
    Ok(plan)
}

/// Every line of a text is an order, and its words are the items.
fn orders(plan: &mut Plan, texts: &[Text]) {
    let share = ORDERS.div_ceil(texts.len().max(1));
    for text in texts {
        let lines = (1..)
            .zip(text.content.lines())
            .filter(|(_, line)| line.split_whitespace().count() >= 2);
        for (number, line) in lines.take(share) {
            let count = plan.inputs.len();
            plan.inputs.push(order(count, &text.name, number, line));
        }
    }
}

fn order(count: usize, file: &str, number: usize, line: &str) -> Input {
    let id = format!("{count}:{file}:{number}");
    let items = (1_usize..)
        .zip(line.split_whitespace().take(LINES_MAX))
        .map(|(position, word)| {
            let sku: String = word.chars().take(24).collect();
            (
                position,
                sku,
                word.chars().count(),
                (number * 7 + position * 13) % 1_000,
            )
        });
    let items: Vec<_> = items.collect();
    // Some are damaged: cut in the middle, or asking for nothing.
    let is_cut = count % 25 == 7;
    let is_void = count % 60 == 11;
    let order_lines: Vec<Value> = items
        .iter()
        .map(|(_, sku, quantity, price)| {
            json!({"sku": sku, "quantity": if is_void { &0 } else { quantity }, "price_cents": price})
        })
        .collect();
    let mut value = json!({"id": id, "customer": file, "lines": order_lines}).to_string();
    if is_cut {
        let middle = (value.len() / 2..value.len())
            .find(|&at| value.is_char_boundary(at))
            .unwrap_or(0);
        value.truncate(middle);
    }
    let is_damaged = is_cut || is_void;
    let lines = items.iter().map(|(position, sku, quantity, price)| {
        json!({
            "order": id, "line": position, "sku": sku, "quantity": quantity, "price_cents": price,
            "total_cents": quantity * price,
        })
    });
    Input {
        handler: Handler::Enrich,
        value,
        fate: if is_damaged { Fate::Rejected } else { Fate::Accepted },
        lines: if is_damaged { Vec::new() } else { lines.collect() },
        name: id,
    }
}

/// Copies, some of them cut; made ones where there are few; what is no picture; one that never comes.
fn pictures(plan: &mut Plan, found: &Found, room: &Room) -> Result<()> {
    let mut files = Vec::new();
    for (number, picture) in (0..).zip(&found.pictures) {
        let bytes = fs::read(&picture.path).with_context(|| format!("cannot read {}", picture.path.display()))?;
        let name = format!("{number:03}-{}", plain_name(&picture.path));
        let is_whole = picture.structure == Structure::Whole;
        if is_whole && number % 10 == 4 {
            files.extend(damaged(&name, &bytes));
        }
        files.push((name, bytes, if is_whole { Fate::Accepted } else { Fate::Either }));
    }
    for number in files.len()..PICTURES_MIN {
        let seed = u8::try_from(number).unwrap_or(0) + 1;
        let bytes = pictures::png(64 + u16::from(seed) * 16, 48 + u16::from(seed) * 12, seed);
        let name = format!("{number:03}-made.png");
        if number % 6 == 4 {
            files.extend(damaged(&name, &bytes));
        }
        files.push((name, bytes, Fate::Accepted));
    }
    files.push(("empty.png".to_owned(), Vec::new(), Fate::Rejected));
    files.push(("text.png".to_owned(), b"This is no picture.\n".to_vec(), Fate::Rejected));
    let whole = files.iter().filter(|(_, _, fate)| *fate == Fate::Accepted).count();
    let mut seen = 0;
    for (name, bytes, fate) in files {
        seen += usize::from(fate == Fate::Accepted);
        if fate == Fate::Accepted && seen > whole - LATE {
            plan.late.push((name.clone(), bytes));
        } else {
            fs::write(room.images.join(&name), bytes).with_context(|| format!("cannot write {name}"))?;
        }
        plan.inputs.push(input(Handler::Thumbnail, name, fate));
    }
    plan.inputs
        .push(input(Handler::Thumbnail, "never-comes.png".to_owned(), Fate::GivenUp));
    Ok(())
}

fn damaged(name: &str, bytes: &[u8]) -> Option<(String, Vec<u8>, Fate)> {
    let bytes = pictures::cut(bytes)?.to_vec();
    Some((format!("cut-{name}"), bytes, Fate::Rejected))
}

/// The file's name with nothing in it that needs quoting.
fn plain_name(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' || c == '-' {
            c
        } else {
            '_'
        }
    };
    name.chars().map(plain).collect()
}

fn jobs(plan: &mut Plan) {
    for number in 0..JOBS {
        let (what, fate) = match number % 8 {
            3 => ("fails", Fate::Rejected),
            _ if number == JOBS - 1 => ("never-comes", Fate::GivenUp),
            _ => ("works", Fate::Accepted),
        };
        plan.inputs
            .push(input(Handler::Poll, format!("job-{number:02}-{what}"), fate));
    }
}

/// The end of a name is what the receiver reads.
fn events(plan: &mut Plan) {
    for number in 0..EVENTS {
        let (what, fate) = match number % 12 {
            _ if number == EVENTS - 1 => ("down", Fate::GivenUp),
            2 => ("busy", Fate::Accepted),
            4 => ("invalid", Fate::Rejected),
            6 => ("slow", Fate::Accepted),
            8 => ("limited", Fate::Accepted),
            10 => ("gone", Fate::Rejected),
            _ => ("good", Fate::Accepted),
        };
        plan.inputs
            .push(input(Handler::Webhook, format!("event-{number:02}-{what}"), fate));
    }
}

fn input(handler: Handler, name: String, fate: Fate) -> Input {
    Input {
        handler,
        value: name.clone(),
        name,
        fate,
        lines: Vec::new(),
    }
}
