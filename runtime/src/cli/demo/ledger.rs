//! The receiver's own log against the books: what the server answered is what became of each event, and nobody but the killed host made it
//! hear of one twice. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Account;
use super::metrics::Scrape;
use super::plan::{Fate, Handler, Plan};
use super::receiver::Asked;

/// What the server's log comes to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ledger {
    pub(super) requests: usize,
    /// Events that it has done.
    pub(super) done: u64,
    /// Events that it has refused.
    pub(super) refused: u64,
    /// Requests for an event that it had done already.
    pub(super) repeated: usize,
}

/// Sums up the log, and names what differs from the books.
pub(super) fn against_receiver(
    asked: &[Asked],
    plan: &Plan,
    account: Account,
    counts: &Scrape,
) -> (Ledger, Vec<String>) {
    let mut ledger = Ledger {
        requests: asked.len(),
        ..Ledger::default()
    };
    let mut differences = Vec::new();
    let mut by_event: BTreeMap<&str, Vec<&Asked>> = BTreeMap::new();
    for one in asked {
        by_event.entry(&one.event).or_default().push(one);
    }
    let mut keys = BTreeSet::new();
    for input in plan.of(Handler::Webhook) {
        let name = &input.name;
        let answers = by_event.remove(name.as_str()).unwrap_or_default();
        let own: BTreeSet<&str> = answers.iter().map(|one| one.key.as_str()).collect();
        if own.len() != 1 || !own.iter().all(|key| keys.insert(*key)) {
            differences.push(format!(
                "webhook: {name} came with the keys {own:?}, and needs one of its own"
            ));
        }
        let done = answers.iter().filter(|one| one.status == 200).count();
        let is_refused = answers.iter().any(|one| is_refusal(one.status));
        ledger.done += u64::from(done > 0);
        ledger.refused += u64::from(is_refused);
        ledger.repeated += done.saturating_sub(1);
        let is_right = match input.fate {
            Fate::Accepted => done > 0 && !is_refused,
            Fate::Rejected => done == 0 && is_refused,
            Fate::GivenUp => done == 0 && !is_refused,
            Fate::Either => true,
        };
        if !is_right {
            let answers: Vec<u16> = answers.iter().map(|one| one.status).collect();
            let fate = input.fate;
            differences.push(format!(
                "webhook: {name} had to be {fate:?}, and the server answered {answers:?}"
            ));
        }
    }
    for event in by_event.keys() {
        differences.push(format!(
            "webhook: the server was asked for {event:?}, which was not fed"
        ));
    }
    let to_be_renewed = asked.iter().filter(|one| one.status == 202).count() as u64;
    let renewed = counts.verdicts(Handler::Webhook.name(), "renew");
    for (what, books, server, is_right) in [
        (
            "accepted",
            account.accepted,
            ledger.done,
            account.accepted == ledger.done,
        ),
        (
            "rejected",
            account.rejected,
            ledger.refused,
            account.rejected == ledger.refused,
        ),
        // The host's counts miss what was counted right before the kill, and have none too many.
        ("renewed", renewed, to_be_renewed, renewed <= to_be_renewed),
    ] {
        if !is_right {
            differences.push(format!(
                "webhook: {what} are {books} by the books, {server} by the server's log"
            ));
        }
    }
    (ledger, differences)
}

fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) && status != 429
}

#[cfg(test)]
mod tests {
    use super::super::plan::Input;
    use super::*;

    fn plan(events: &[(&str, Fate)]) -> Plan {
        let inputs = events.iter().map(|(name, fate)| Input {
            handler: Handler::Webhook,
            name: (*name).to_owned(),
            value: (*name).to_owned(),
            fate: *fate,
            lines: Vec::new(),
        });
        Plan {
            inputs: inputs.collect(),
            late: Vec::new(),
        }
    }

    fn asked(event: &str, key: &str, status: u16) -> Asked {
        Asked {
            event: event.to_owned(),
            key: key.to_owned(),
            status,
        }
    }

    fn differences(asked: &[Asked], accepted: u64, rejected: u64) -> Vec<String> {
        let plan = plan(&[("a", Fate::Accepted), ("b", Fate::Rejected)]);
        let account = Account {
            accepted,
            rejected,
            ..Account::default()
        };
        against_receiver(asked, &plan, account, &Scrape::default()).1
    }

    #[test]
    fn a_log_that_says_the_same_is_right() {
        let log = [asked("a", "1", 503), asked("a", "1", 200), asked("b", "2", 422)];
        assert_eq!(differences(&log, 1, 1), Vec::<String>::new());
        let again = [log.as_slice(), &[asked("a", "1", 200)]].concat();
        assert_eq!(differences(&again, 1, 1), Vec::<String>::new());
    }

    #[test]
    fn what_differs_is_named() {
        let good = [asked("a", "1", 200), asked("b", "2", 422)];
        assert_eq!(differences(&good, 2, 1).len(), 1);
        assert_eq!(differences(&good, 1, 0).len(), 1);
        for log in [
            [asked("a", "1", 200), asked("b", "1", 422)],
            [asked("a", "1", 200), asked("b", "2", 200)],
            [asked("a", "1", 503), asked("b", "2", 422)],
            [asked("a", "1", 200), asked("c", "2", 422)],
        ] {
            assert!(!differences(&log, 1, 1).is_empty(), "{log:?}");
        }
    }
}
