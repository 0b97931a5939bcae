//! The books: what every input came to, by what is on disk after the host has stopped - dead letters, emitted records,
//! thumbnails - and where that differs from what it had to come to. The host's counters are only ever held against it.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::feed::Place;
use super::files::Room;
use super::host::ask;
use super::ledger::{Ledger, against_receiver};
use super::plan::{Fate, Handler, Input, Plan};
use super::play::Played;

/// One handler's numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    pub(super) fed: u64,
    pub(super) accepted: u64,
    /// At least.
    pub(super) released: u64,
    pub(super) rejected: u64,
    /// At least.
    pub(super) renewed: u64,
    pub(super) dead: u64,
}

/// All numbers, and what is wrong with them.
pub(super) struct Books {
    pub(super) accounts: BTreeMap<Handler, Account>,
    pub(super) thumbnails: usize,
    pub(super) order_lines: usize,
    pub(super) ledger: Ledger,
    pub(super) differences: Vec<String>,
}

impl Books {
    pub(super) fn total(&self) -> Account {
        let add = |sum: Account, one: &Account| Account {
            fed: sum.fed + one.fed,
            accepted: sum.accepted + one.accepted,
            released: sum.released + one.released,
            rejected: sum.rejected + one.rejected,
            renewed: sum.renewed + one.renewed,
            dead: sum.dead + one.dead,
        };
        self.accounts.values().fold(Account::default(), add)
    }
}

/// The host is started again once.
const LIVES: [u32; 2] = [1, 2];
/// Records that the command line gives at once.
const PAGE: &str = "10000";

pub(super) fn check(binary: &Path, room: &Room, plan: &Plan, played: &Played, signing_key: &str) -> Result<Books> {
    let mut differences = Vec::new();
    let dead = dead_letters(binary, room)?;
    let mut accounts = BTreeMap::new();
    for handler in Handler::ALL {
        let account = account(handler, plan, played, &dead);
        differences.extend(against_engine(binary, room, handler, account)?);
        differences.extend(against_counters(handler, account, played));
        accounts.insert(handler, account);
    }
    for place in dead.keys().filter(|place| !played.receipts.places.contains_key(place)) {
        differences.push(format!("the dead letter of {place:?} is of no record that was fed"));
    }
    let mut accepted: BTreeSet<usize> = BTreeSet::new();
    for (place, &index) in &played.receipts.places {
        let Some(input) = plan.inputs.get(index) else { continue };
        let cause = dead.get(place).map(String::as_str);
        differences.extend(against_fate(input, cause));
        if cause.is_none() {
            accepted.insert(index);
        }
    }
    if played.receipts.places.len() != plan.inputs.len() {
        let (places, inputs) = (played.receipts.places.len(), plan.inputs.len());
        differences.push(format!(
            "{inputs} records were to be fed and confirmed, each at a place of its own, and {places} were"
        ));
    }
    let is_accepted = |handler: Handler| {
        let of = plan
            .inputs
            .iter()
            .enumerate()
            .filter(move |(_, input)| input.handler == handler);
        of.filter(|(index, _)| accepted.contains(index)).map(|(_, input)| input)
    };
    let thumbnails = thumbnails(room, is_accepted(Handler::Thumbnail), &mut differences)?;
    let order_lines = order_lines(binary, room, is_accepted(Handler::Enrich), &mut differences)?;
    let account = accounts.get(&Handler::Webhook).copied().unwrap_or_default();
    let (ledger, wrong) = against_receiver(&played.asked, plan, account, &played.counts);
    differences.extend(wrong);
    for life in LIVES {
        let log = fs::read_to_string(room.log(life))?;
        if log.contains(signing_key) {
            differences.push(format!("webhook: its secret is in {}", room.log(life).display()));
        }
    }
    Ok(Books {
        accounts,
        thumbnails,
        order_lines,
        ledger,
        differences,
    })
}

/// Cause of every dead letter, by the place of its record.
fn dead_letters(binary: &Path, room: &Room) -> Result<BTreeMap<Place, String>> {
    let mut dead = BTreeMap::new();
    for handler in Handler::ALL {
        let page = ask(
            binary,
            room,
            &["dead", "list", "--limit", PAGE, "--group", handler.name()],
        )?;
        for letter in list(&page, "dead_letters")? {
            let number = |name: &str| {
                letter
                    .get(name)
                    .and_then(Value::as_u64)
                    .context("a dead letter without a source")
            };
            let place = (handler, number("source_partition")?, number("source_offset")?);
            let cause = letter
                .get("cause")
                .and_then(Value::as_str)
                .context("a dead letter without a cause")?;
            dead.insert(place, cause.to_owned());
        }
    }
    Ok(dead)
}

fn account(handler: Handler, plan: &Plan, played: &Played, dead: &BTreeMap<Place, String>) -> Account {
    let causes = dead
        .iter()
        .filter(|(place, _)| place.0 == handler)
        .map(|(_, cause)| cause);
    let is_reject = |cause: &&String| *cause == "reject";
    let fed = plan.count(handler) as u64;
    let dead = causes.clone().count() as u64;
    Account {
        fed,
        accepted: fed.saturating_sub(dead),
        released: played.counts.verdicts(handler.name(), "release"),
        rejected: causes.filter(is_reject).count() as u64,
        renewed: played.counts.verdicts(handler.name(), "renew"),
        dead,
    }
}

/// The engine's own state: everything that was fed is in its topic, and nothing of it is open.
fn against_engine(binary: &Path, room: &Room, handler: Handler, account: Account) -> Result<Vec<String>> {
    let name = handler.name();
    let group = ask(binary, room, &["group", "describe", name])?;
    let mut differences = Vec::new();
    for state in ["available", "acquired", "parked"] {
        let count = group
            .get(state)
            .and_then(Value::as_u64)
            .context("a group without counts")?;
        if count > 0 {
            differences.push(format!("{name}: {count} records are {state} at the end"));
        }
    }
    let ends = list(&group, "share_partitions")?
        .iter()
        .filter_map(|share| share.get("log_end")?.as_u64());
    let end: u64 = ends.sum();
    if end != account.fed {
        differences.push(format!(
            "{name}: {} records were fed and {end} are in {}",
            account.fed,
            handler.topic()
        ));
    }
    Ok(differences)
}

/// A counter may have missed some before the kill, and never counted one too many.
fn against_counters(handler: Handler, account: Account, played: &Played) -> Vec<String> {
    let pairs = [("accept", account.accepted), ("reject", account.rejected)];
    let wrong = pairs.into_iter().filter_map(|(verdict, count)| {
        let counted = played.counts.verdicts(handler.name(), verdict);
        (counted > count).then(|| {
            format!(
                "{}: the host counted {counted} {verdict}, there are {count}",
                handler.name()
            )
        })
    });
    wrong.collect()
}

fn against_fate(input: &Input, cause: Option<&str>) -> Option<String> {
    let is_right = match input.fate {
        Fate::Accepted => cause.is_none(),
        Fate::Rejected => cause == Some("reject"),
        Fate::GivenUp => cause.is_some_and(|cause| cause != "reject"),
        Fate::Either => true,
    };
    let (name, fate) = (input.handler.name(), input.fate);
    (!is_right).then(|| {
        format!(
            "{name}: {} had to be {fate:?}, and its dead letter is {cause:?}",
            input.name
        )
    })
}

/// Exactly the accepted pictures have one, and nothing half-written is left.
fn thumbnails<'a>(
    room: &Room,
    accepted: impl Iterator<Item = &'a Input>,
    differences: &mut Vec<String>,
) -> Result<usize> {
    let mut expected: BTreeSet<String> = accepted.map(|input| format!("{}.jpg", input.name)).collect();
    let count = expected.len();
    for entry in fs::read_dir(&room.thumbnails)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !expected.remove(&name) {
            differences.push(format!(
                "thumbnail: {name} is on disk, and no picture was accepted for it"
            ));
        } else if !fs::read(entry.path())?.starts_with(b"\xff\xd8\xff") {
            differences.push(format!("thumbnail: {name} is no JPEG"));
        }
    }
    differences.extend(expected.iter().map(|name| format!("thumbnail: {name} is missing")));
    Ok(count - expected.len())
}

/// Exactly the line items of the accepted orders are in the topic, each once.
fn order_lines<'a>(
    binary: &Path,
    room: &Room,
    accepted: impl Iterator<Item = &'a Input>,
    differences: &mut Vec<String>,
) -> Result<usize> {
    let mut expected: BTreeMap<(String, u64), &Value> = BTreeMap::new();
    for line in accepted.flat_map(|input| &input.lines) {
        expected.insert(line_key(line).context("an expected line without a key")?, line);
    }
    let count = expected.len();
    let mut from = 0;
    loop {
        let page = [
            "topic",
            "read",
            "order-lines",
            "--partition",
            "0",
            "--limit",
            PAGE,
            "--from",
            &from.to_string(),
        ];
        let page = ask(binary, room, &page)?;
        let records = list(&page, "records")?;
        for stored in records {
            let value = stored.get("record").and_then(|record| record.get("value")?.as_str());
            let line: Value = serde_json::from_str(value.unwrap_or_default()).context("an emitted line is no JSON")?;
            let key = line_key(&line).context("an emitted line without a key")?;
            match expected.remove(&key) {
                Some(right) if *right == line => {}
                Some(right) => differences.push(format!("enrich: {line} was emitted instead of {right}")),
                None => differences.push(format!("enrich: {line} was emitted twice, or for no accepted order")),
            }
            from = stored
                .get("offset")
                .and_then(Value::as_u64)
                .context("a record without an offset")?
                + 1;
        }
        if records.is_empty() {
            break;
        }
    }
    differences.extend(
        expected
            .keys()
            .map(|(order, line)| format!("enrich: line {line} of {order} is missing")),
    );
    Ok(count - expected.len())
}

fn line_key(line: &Value) -> Option<(String, u64)> {
    Some((line.get("order")?.as_str()?.to_owned(), line.get("line")?.as_u64()?))
}

fn list<'a>(answer: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    let list = answer.get(name).and_then(Value::as_array);
    list.with_context(|| format!("the answer has no {name}"))
}
