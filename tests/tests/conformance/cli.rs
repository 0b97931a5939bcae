//! The command line with real handlers: the same manifest but for its source.

use std::time::{Duration, Instant};

use sharemill_tests::Host;
use sharemill_tests::conformance::{Case, Cli, On, Scenario, Stage};
use sharemill_tests::kafka::Stored;

use crate::differences::{ATTEMPTS, HOSTS};

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!(Shared run_every_outcome),
        scenario!(Shared run_every_kind_of_failure),
        scenario!(Shared run_poison_among_good_records),
        scenario!(Shared run_emits_with_the_acceptance),
        scenario!(Shared run_slow_handlers_beside_fast_ones),
        scenario!(Shared run_renewals_with_a_checkpoint),
        scenario!(Shared run_ends_an_attempt_with_its_max_lease),
        scenario!(Shared run_ends_well_and_goes_on),
        scenario!(Shared run_goes_on_after_a_kill),
        scenario!(Shared run_with_five_attempts; On::Kafka => five_attempts_are_refused: ATTEMPTS),
        scenario!(Shared run_is_alone_on_its_data; On::Kafka => two_hosts_share_the_work: HOSTS),
    ]
}

fn texts(records: &[Stored]) -> Vec<String> {
    records.iter().map(Stored::text).collect()
}

fn causes(letters: &[Stored]) -> Vec<String> {
    letters
        .iter()
        .map(|one| one.header("sharemill.cause").unwrap_or_default())
        .collect()
}

fn out(case: &Case) -> String {
    format!("{}-out", case.name())
}

fn emits(case: &Case) -> String {
    format!("grants = {{ emit = [\"{}\"] }}", out(case))
}

async fn run_every_outcome(case: Case) {
    let cli = case.command_line("hostile", &format!("attempts = 2\n{}", emits(&case)));
    let emit = format!("emit {}", out(&case));
    cli.produce(&[
        "accept",
        "reject never again",
        "release not yet",
        &emit,
        "panic 5",
        "accept",
    ])
    .await;
    cli.run_until_idle();
    assert_eq!(texts(&cli.read(&out(&case)).await), ["emitted"]);
    let letters = cli.letters().await;
    assert_eq!(texts(&letters), ["panic 5", "reject never again", "release not yet"]);
    assert_eq!(causes(&letters), ["trap", "reject", "release"]);
    let header = |letter: usize, name: &str| letters[letter].header(name).unwrap_or_default();
    assert_eq!(header(1, "__dlq.errors.message"), "never again");
    assert_eq!(header(1, "__dlq.errors.delivery.count"), "1");
    assert_eq!(header(1, "sharemill.origin"), format!("{}/0/1", case.name()));
    assert_eq!(header(2, "__dlq.errors.delivery.count"), "2");
    assert_eq!(header(2, "__dlq.errors.group"), case.name());
    assert!(header(2, "sharemill.attempts").contains("not yet"), "{:?}", letters[2]);
    assert!(!header(0, "sharemill.trap").is_empty());
    // Nothing of it is left.
    let again = cli.run_until_idle();
    assert_eq!(cli.letters().await, letters, "{again}");
}

async fn run_every_kind_of_failure(case: Case) {
    let cli = case.command_line("hostile", "attempts = 1\ndeadline = \"3s\"\nmemory = \"32MiB\"");
    cli.produce(&["accept", "allocate", "exit 3", "loop", "recurse", "unknown"])
        .await;
    cli.run_until_idle();
    let letters = cli.letters().await;
    assert_eq!(texts(&letters), ["allocate", "exit 3", "loop", "recurse", "unknown"]);
    assert_eq!(
        causes(&letters),
        ["out-of-memory", "exit", "deadline", "trap", "reject"]
    );
}

async fn run_poison_among_good_records(case: Case) {
    let cli = case.command_line("hostile", &format!("attempts = 3\n{}", emits(&case)));
    let emit = format!("emit {}", out(&case));
    let mut values = vec![emit.as_str(); 60];
    values[7] = "corrupt";
    values[31] = "panic 5";
    cli.produce(&values).await;
    cli.run_until_idle();
    assert_eq!(cli.read(&out(&case)).await.len(), 58);
    let letters = cli.letters().await;
    assert_eq!(texts(&letters), ["corrupt", "panic 5"]);
    for letter in &letters {
        assert_eq!(letter.header("__dlq.errors.delivery.count").unwrap(), "3");
    }
}

async fn run_emits_with_the_acceptance(case: Case) {
    let cli = case.command_line("hostile", &format!("attempts = 2\n{}", emits(&case)));
    let out = out(&case);
    let values = ["emit", "emit-trap", "emit-release", "emit"].map(|word| format!("{word} {out}"));
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    cli.produce(&values).await;
    cli.run_until_idle();
    assert_eq!(texts(&cli.read(&out).await), ["emitted", "emitted"]);
    assert_eq!(cli.letters().await.len(), 2);
}

async fn run_slow_handlers_beside_fast_ones(case: Case) {
    let lines = format!("attempts = 1\nlock = \"2s\"\nconcurrency = 4\n{}", emits(&case));
    let cli = case.command_line("hostile", &lines);
    let emit = format!("emit {}", out(&case));
    let mut values = vec![emit.as_str(); 40];
    values[0] = "sleep 4500";
    values[1] = "sleep 4600";
    cli.produce(&values).await;
    let began = Instant::now();
    let said = cli.run_until_idle();
    assert!(began.elapsed() >= Duration::from_millis(4_500), "{said}");
    assert_eq!(cli.read(&out(&case)).await.len(), 38);
    // No attempt but the first, and it was enough.
    assert_eq!(cli.letters().await, [], "{said}");
}

async fn run_renewals_with_a_checkpoint(case: Case) {
    let cli = case.command_line(
        "poll",
        "attempts = 1\nlock = \"1s\"\nsettings = { poll-interval-ms = \"100\" }\n\
         grants = { files = [{ host = \"jobs\", guest = \"/jobs\", access = \"read\" }] }",
    );
    cli.folder.file("jobs/slow", "running");
    cli.produce(&["slow", "slow"]).await;
    let host = cli.host();
    let began = Instant::now();
    until(&host, "more than two locks", |_| {
        began.elapsed() > Duration::from_millis(2_500)
    });
    cli.folder.file("jobs/slow", "done");
    until(&host, "both are done", |said| {
        said.matches("is done after").count() == 2
    });
    let said = tokio::task::block_in_place(|| host.stop());
    let polls = said.split("is done after ").nth(1).unwrap();
    let polls: u32 = polls.split(' ').next().unwrap().parse().unwrap();
    assert!(polls >= 5, "{said}");
    assert_eq!(cli.letters().await, []);
}

async fn run_ends_an_attempt_with_its_max_lease(case: Case) {
    let cli = case.command_line(
        "poll",
        "attempts = 1\nlock = \"1s\"\nmax-lease = \"2s\"\ndeadline = \"1s\"\n\
         settings = { poll-interval-ms = \"100\" }\n\
         grants = { files = [{ host = \"jobs\", guest = \"/jobs\", access = \"read\" }] }",
    );
    cli.folder.file("jobs/slow", "running");
    cli.produce(&["slow"]).await;
    cli.run_until_idle();
    let letters = cli.letters().await;
    assert_eq!(
        (texts(&letters), causes(&letters)),
        (vec!["slow".to_owned()], vec!["max-lease".to_owned()])
    );
}

/// Waits for what a host says.
fn until(host: &Host, what: &str, holds: impl Fn(&str) -> bool) {
    tokio::task::block_in_place(|| {
        sharemill_tests::until(what, || holds(&host.said()).then_some(()));
    });
}

async fn run_ends_well_and_goes_on(case: Case) {
    let cli = case.command_line("hostile", &emits(&case));
    let host = cli.host();
    produce_emits(&case, &cli, 30).await;
    // Wherever it stands.
    tokio::task::block_in_place(|| host.stop());
    cli.run_until_idle();
    assert_eq!(cli.read(&out(&case)).await.len(), 30);
    assert_eq!(cli.letters().await, []);
}

async fn produce_emits(case: &Case, cli: &Cli<'_>, count: usize) {
    let emit = format!("emit {}", out(case));
    cli.produce(&vec![emit.as_str(); count]).await;
}

async fn run_goes_on_after_a_kill(case: Case) {
    let cli = case.command_line("hostile", &emits(&case));
    let host = cli.host();
    produce_emits(&case, &cli, 30).await;
    host.kill();
    let end = tokio::task::block_in_place(|| host.end());
    assert_eq!(end.signal, Some(9), "{}", end.stderr);
    cli.run_until_idle();
    // At least once: what was emitted just before may be emitted again where it is not part of the acknowledgement.
    let emitted = cli.read(&out(&case)).await.len();
    assert!(emitted >= 30, "{emitted}");
    assert_eq!(cli.letters().await, []);
}

async fn run_with_five_attempts(case: Case) {
    let cli = case.command_line("hostile", "attempts = 5");
    cli.produce(&["release not yet"]).await;
    cli.run_until_idle();
    let letters = cli.letters().await;
    assert_eq!(letters[0].header("__dlq.errors.delivery.count").unwrap(), "5");
}

async fn five_attempts_are_refused(case: Case) {
    let cli = case.command_line("hostile", "attempts = 5");
    cli.produce(&["release not yet"]).await;
    let said = cli.run(&["run", "--until-idle"]);
    said.failure(1, &["attempts", "5", "write attempts = 4 or less"]);
}

async fn run_is_alone_on_its_data(case: Case) {
    let cli = case.command_line("hostile", &emits(&case));
    let host = cli.host();
    let said = cli.run(&["run", "--until-idle"]);
    said.failure(1, &["is in use by process"]);
    produce_emits(&case, &cli, 10).await;
    tokio::task::block_in_place(|| host.stop());
    cli.run_until_idle();
    assert_eq!(cli.read(&out(&case)).await.len(), 10);
}

async fn two_hosts_share_the_work(case: Case) {
    let cli = case.command_line("hostile", &format!("concurrency = 1\n{}", emits(&case)));
    let other = case.command_line("hostile", &format!("concurrency = 1\n{}", emits(&case)));
    let (host, second) = (cli.host(), other.host());
    for one in [&host, &second] {
        until(one, "its partition", |said| said.contains("assignment changed"));
    }
    produce_emits(&case, &cli, 150).await;
    case.leaves(0).await;
    let said = tokio::task::block_in_place(|| [host.stop(), second.stop()]);
    assert_eq!(cli.read(&out(&case)).await.len(), 150, "{said:?}");
    assert_eq!(cli.letters().await, []);
}
