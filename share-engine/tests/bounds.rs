//! Every range that a setting has, on both sides of both ends, and what is said beyond them; and what a share partition
//! makes of options that nobody has checked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::time::Duration;

use share_engine::config::{ConfigError, EngineConfig, GroupConfig, Limits, TopicConfig, WindowMode, check_name};
use share_engine::ids::{DeliveryCount, MemberIndex, Offset, OffsetRange, ShareKey, StateEpoch};
use share_engine::share::{AcquireMode, AcquireRequest, Persisted, ShareOptions, SharePartition, Window};
use share_engine::time::{Instant, Now, WallTime};

/// Both ends are allowed; one below and one above are refused with the value and both ends.
fn bounds(what: &'static str, least: u64, most: u64, check: impl Fn(u64) -> Result<(), ConfigError>) {
    for value in [least, most] {
        assert_eq!(check(value), Ok(()), "{what} {value}");
    }
    for value in [least.checked_sub(1), most.checked_add(1)].into_iter().flatten() {
        let error = check(value).expect_err(what);
        let wanted = ConfigError::Range {
            what,
            value,
            least,
            most,
        };
        assert_eq!(error, wanted);
        assert_eq!(
            error.to_string(),
            format!("{what} is {value}, allowed are {least} to {most}")
        );
    }
}

fn narrow<T: TryFrom<u64>>(value: u64) -> T
where
    T::Error: std::fmt::Debug,
{
    T::try_from(value).unwrap()
}

#[test]
fn what_a_group_can_be_told() {
    let group = GroupConfig::default;
    assert_eq!(group().check(), Ok(()));
    bounds("attempts", 1, 1_000, |value| {
        let attempts = narrow(value);
        GroupConfig { attempts, ..group() }.check()
    });
    bounds("lock (ms)", 1_000, 60_000, |value| {
        let lock_millis = narrow(value);
        GroupConfig { lock_millis, ..group() }.check()
    });
    bounds("max-lease (ms)", 1_000, 604_800_000, |max_lease_millis| {
        GroupConfig {
            max_lease_millis,
            ..group()
        }
        .check()
    });
    for window in [WindowMode::Span, WindowMode::Acquired] {
        bounds("window", 1, 16_000_000, |value| {
            let window = window(narrow(value));
            GroupConfig { window, ..group() }.check()
        });
    }
    let dead_letter = |name: &str| {
        let dead_letter = Some(name.to_owned());
        GroupConfig { dead_letter, ..group() }.check()
    };
    assert_eq!(dead_letter("orders.dead"), Ok(()));
    let error = dead_letter("orders dead").unwrap_err();
    let text = "dead-letter topic \"orders dead\" is not a valid name: 1 to 249 letters, digits, '.', '_' and '-'";
    assert_eq!(error.to_string(), text);
}

#[test]
fn what_a_topic_can_be_told() {
    let topic = TopicConfig::default;
    let limits = Limits::default();
    assert_eq!(topic().check(&limits), Ok(()));
    for most in [limits.partitions, 1, 3] {
        let limits = Limits {
            partitions: most,
            ..Limits::default()
        };
        bounds("partitions", 1, u64::from(most), |value| {
            let partitions = narrow(value);
            TopicConfig { partitions, ..topic() }.check(&limits)
        });
    }
    bounds("max-bytes", 4_096, u64::MAX, |value| {
        let max_bytes = Some(value);
        TopicConfig { max_bytes, ..topic() }.check(&limits)
    });
    bounds("segment (bytes)", 4_096, 1 << 30, |value| {
        let segment_bytes = Some(value);
        TopicConfig {
            segment_bytes,
            ..topic()
        }
        .check(&limits)
    });
}

#[test]
fn what_an_engine_can_be_told() {
    let engine = EngineConfig::default;
    assert_eq!(engine().check(), Ok(()));
    bounds("journal file (bytes)", 64 << 10, 1 << 30, |journal_file_bytes| {
        let mut config = EngineConfig {
            journal_file_bytes,
            journal_bytes: 4 << 30,
            ..engine()
        };
        config.limits.group_bytes = 16 << 10;
        config.check()
    });
    bounds("journal size (bytes)", 16 << 20, 1 << 40, |journal_bytes| {
        EngineConfig {
            journal_bytes,
            ..engine()
        }
        .check()
    });
    bounds("segment (bytes)", 4_096, 1 << 30, |segment_bytes| {
        EngineConfig {
            segment_bytes,
            ..engine()
        }
        .check()
    });
    bounds("journal group (bytes)", 4_096, 4 << 20, |group_bytes| {
        let mut config = engine();
        config.limits.group_bytes = group_bytes;
        config.check()
    });
}

#[test]
fn names_that_kafka_takes() {
    let longest = "a".repeat(249);
    for name in ["a", "...", "a.b_c-D9", longest.as_str()] {
        assert_eq!(check_name("topic", name), Ok(()), "{name}");
    }
    let too_long = "a".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "\u{e9}", "a\n", too_long.as_str()] {
        let error = check_name("topic", name).expect_err(name);
        let wanted = ConfigError::Name {
            what: "topic",
            name: name.to_owned(),
        };
        assert_eq!(error, wanted);
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
}

const DAY: Duration = Duration::from_hours(24);

/// One record, acquired by a member: the share partition, when, and the end of its lease after that.
fn hold(options: ShareOptions) -> (SharePartition, Now, Duration) {
    let now = Now {
        monotonic: Instant::from_nanos(7_000_000_000),
        wall: WallTime::from_millis(1_700_000_000_000),
    };
    let mut share = SharePartition::new(ShareKey(1), StateEpoch(1), Offset::ZERO, options);
    let request = AcquireRequest {
        member: MemberIndex(1),
        mode: AcquireMode::RecordLimit,
        max_records: 1,
        batch_size: 0,
        from: Offset::ZERO,
        batches: &[OffsetRange::single(Offset::ZERO)],
    };
    let acquisition = share.acquire(&request, now);
    share.handle_persisted(acquisition.transition.unwrap(), Persisted::Durable, now);
    let deadline = share.lease_deadline(Offset::ZERO).unwrap();
    (share, now, deadline.since(now.monotonic))
}

#[test]
fn a_lease_is_no_longer_than_can_be_told() {
    for (lock, max_lease, wanted) in [
        (Duration::from_millis(1), None, Duration::from_millis(1)),
        (20 * DAY, None, 20 * DAY),
        (21 * DAY, None, 20 * DAY),
        (Duration::MAX, Some(Duration::MAX), 20 * DAY),
        (20 * DAY, Some(DAY), DAY),
        (20 * DAY, Some(20 * DAY), 20 * DAY),
    ] {
        let options = ShareOptions {
            lock,
            max_lease,
            ..ShareOptions::default()
        };
        let (mut share, now, length) = hold(options);
        assert_eq!(length, wanted, "{lock:?} {max_lease:?}");
        let early = Now {
            monotonic: now.monotonic.after(wanted.saturating_sub(Duration::from_millis(1))),
            ..now
        };
        assert_eq!(share.handle_timeout(early).expired, 0);
        let due = Now {
            monotonic: now.monotonic.after(wanted),
            ..now
        };
        assert_eq!(share.handle_timeout(due).expired, 1, "{lock:?} {max_lease:?}");
    }
}

#[test]
fn a_limit_of_no_delivery_is_one_of_one() {
    for limit in [0, 1] {
        let options = ShareOptions {
            delivery_limit: DeliveryCount(limit),
            ..ShareOptions::default()
        };
        let (mut share, now, _) = hold(options);
        let settled = share.release_member(MemberIndex(1), now);
        assert_eq!(settled.archived.len(), 1);
        share.handle_persisted(settled.transition.unwrap(), Persisted::Durable, now);
        assert_eq!(share.start_offset().get(), 1);
    }
}

#[test]
fn a_window_of_nothing_gives_nothing() {
    for window in [Window::Span(0), Window::Acquired(0)] {
        let options = ShareOptions {
            window,
            ..ShareOptions::default()
        };
        let share = SharePartition::new(ShareKey(1), StateEpoch(1), Offset::ZERO, options);
        assert!(!share.can_acquire(), "{window:?}");
        let options = ShareOptions {
            span_limit: 0,
            window: Window::Acquired(10),
            ..ShareOptions::default()
        };
        let share = SharePartition::new(ShareKey(1), StateEpoch(1), Offset::ZERO, options);
        assert!(!share.can_acquire(), "no span");
    }
}
