//! The table at the end, where to look next, and the one line for machines.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::check::{Account, Books};
use super::files::Room;
use super::ledger::Ledger;
use super::play::Played;

/// Everything that is printed.
pub(super) struct Report<'a> {
    pub(super) books: &'a Books,
    pub(super) played: &'a Played,
    pub(super) binary: &'a Path,
    pub(super) room: &'a Room,
    pub(super) all: Duration,
}

/// Differences that are printed; more are of the same kind.
const DIFFERENCES_MAX: usize = 20;

pub(super) fn text(report: &Report<'_>) -> String {
    let mut out = String::new();
    let total = report.books.total();
    let _ = writeln!(out, "\n{}", HEADER.trim_end());
    for (handler, account) in &report.books.accounts {
        let _ = writeln!(out, "{}", row(report, handler.name(), Some(handler.name()), *account));
    }
    let _ = writeln!(out, "{}", row(report, "total", None, total));
    let _ = writeln!(out, "\n{}", NOTES.trim_end());
    let leased = report.played.leased;
    let _ = writeln!(
        out,
        "* The host was killed with SIGKILL once, with {leased} pictures leased, and started again."
    );

    let Books {
        thumbnails,
        order_lines,
        ledger,
        differences,
        ..
    } = report.books;
    if differences.is_empty() {
        let _ = writeln!(
            out,
            "\nchecked: {thumbnails} thumbnails, {order_lines} order lines, {} dead letters: exactly what had to be there, each once",
            total.dead
        );
        let _ = writeln!(out, "{}", receiver(ledger));
    } else {
        for difference in differences.iter().take(DIFFERENCES_MAX) {
            let _ = writeln!(out, "difference: {difference}");
        }
    }
    let binary = shown(report.binary);
    let manifest = shown(&report.room.manifest);
    let _ = writeln!(out, "\nwhere to look next:");
    for command in [
        "dead list",
        "dead show thumbnail.dead/0/0",
        "topic read order-lines --limit 5",
        "group describe poll",
        "dead redrive --all --group poll",
        "run --until-idle",
    ] {
        let _ = writeln!(out, "  {binary} {command} --manifest {manifest}");
    }
    let _ = writeln!(out, "  ls {}", shown(&report.room.thumbnails));
    let _ = writeln!(out, "  less {}", shown(&report.room.log(2)));
    let _ = writeln!(out, "\n{:.0} s in all", report.all.as_secs_f64());
    let Account {
        fed,
        accepted,
        released,
        rejected,
        renewed,
        dead,
    } = total;
    let _ = writeln!(
        out,
        r#"{{"in":{fed},"accepted":{accepted},"released":{released},"rejected":{rejected},"renewed":{renewed},"dead":{dead}}}"#
    );
    out
}

fn receiver(ledger: &Ledger) -> String {
    let Ledger {
        requests,
        done,
        refused,
        repeated,
    } = ledger;
    format!(
        "checked: {requests} requests in the receiver's own log: {done} events done and {refused} refused, as in the table; \
         {repeated} sent again for the kill"
    )
}

const HEADER: &str = "\
handler       in  accepted  released  rejected  renewed  dead letters         p50         p99
";

const NOTES: &str = "\
* in, accepted, rejected and dead letters count records by what is on disk: in = accepted + dead letters; dead letters =
  rejected + those whose attempts ran out.
* released and renewed count events, from the host's counters: at least so many, as the kill took what was not read yet.
* p50 and p99: from produce to the durable acknowledgement of accepted records, from the host's histogram: the upper bound
  of the bucket. Waiting for files, for jobs and for the restart is in them.
";

fn row(report: &Report<'_>, name: &str, deployment: Option<&str>, account: Account) -> String {
    let within = |share| {
        let bound = report.played.counts.acknowledged_within(deployment, share);
        bound.map_or_else(|| "-".to_owned(), |bound| format!("<= {}", seconds(bound)))
    };
    let least = |count: u64| {
        if count == 0 {
            "0".to_owned()
        } else {
            format!(">= {count}")
        }
    };
    format!(
        "{name:<10} {:>5} {:>9} {:>9} {:>9} {:>8} {:>13} {:>11} {:>11}",
        account.fed,
        account.accepted,
        least(account.released),
        account.rejected,
        least(account.renewed),
        account.dead,
        within(0.5),
        within(0.99)
    )
}

fn seconds(bound: f64) -> String {
    if bound < 1.0 {
        format!("{} ms", bound * 1_000.0)
    } else {
        format!("{bound} s")
    }
}

/// Relative to the current folder where it lies below it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path: PathBuf = path
        .strip_prefix(here)
        .map_or_else(|_| path.to_path_buf(), Path::to_path_buf);
    quoted(&path.display().to_string())
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:=@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
