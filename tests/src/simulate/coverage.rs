//! What a run, or a set of runs, has exercised. A set that exercised too little proves nothing, and fails.

use std::fmt;

/// Each counter with its text, and the least that 1,000 runs of 2,000 steps have to show.
macro_rules! coverage {
    ($($name:ident: $text:literal, $least:literal;)*) => {
        /// Counters.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each has its text")]
        pub struct Coverage {
            $(pub $name: u64,)*
        }

        impl Coverage {
            /// Adds those of another run.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// What so many runs of so many steps should have exercised and did not.
            pub fn missing(&self, runs: u64, steps: u64) -> Vec<String> {
                let mut missing = Vec::new();
                $(
                    let least = $least * runs * steps / 2_000_000;
                    if self.$name < least {
                        missing.push(format!("{}: {}, {least} wanted", $text, self.$name));
                    }
                )*
                missing
            }
        }

        impl fmt::Display for Coverage {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>12}  {}", self.$name, $text)?;)*
                Ok(())
            }
        }
    };
}

coverage! {
    steps: "steps", 0;
    parts: "turns of the engine's parts", 1_000_000;
    disk_calls: "calls of the disk", 0;
    produced: "records produced", 400_000;
    refused: "records refused", 5_000;
    delivered: "records delivered", 500_000;
    accepted: "accepted", 300_000;
    emitted: "records emitted with an accept", 20_000;
    rejected: "rejected", 15_000;
    released: "released", 20_000;
    parked: "parked", 40_000;
    given_back: "given back", 8_000;
    stale: "settlements that came too late", 20_000;
    extended: "leases extended", 15_000;
    expired: "leases that ran out", 15_000;
    exhausted: "attempts that lasted too long", 400;
    letters: "dead letters", 30_000;
    redriven: "dead letters sent back", 3_000;
    retired: "records that retention ended", 20_000;
    dropped: "records that a topic's start has passed and that must not come back", 20_000;
    back: "records that came back before anybody had seen them", 0;
    drains: "drains", 20_000;
    laps: "times round the ring", 2_000;
    crowded: "runs that produce more than they drain", 60;
    cramped: "times that the ring came to have little room", 200;
    journal_full: "records refused by a full journal", 40_000;
    unsettled: "settlements refused by a full journal", 800;
    grown: "ring files beyond the first two", 400;
    crashes: "crashes", 5_000;
    powerless: "crashes with loss of power", 4_000;
    fickle: "losses of power that may have taken back answers", 400;
    torn: "torn tails", 50;
    dying: "crashes in recovery", 500;
    settling: "crashes with settlements on their way", 800;
    acquiring: "crashes with acquisitions on their way", 2_000;
    closes: "clean closes", 2_000;
    faults: "calls of the disk that were to fail", 3_000;
    stalls: "calls of the disk that took longer than a lease may be late", 10_000;
    full: "full disks", 1_000;
    fences: "fenced engines", 800;
    unopened: "opens that failed", 500;
    flips: "flipped bits", 600;
    caught: "flipped bits that were reported", 400;
    resets: "resets", 1_000;
    resets_to: "resets to an offset", 200;
    resets_aged: "resets by age", 50;
    latest: "beginnings with what comes from then on", 200;
    topics_altered: "topics altered", 300;
    groups_altered: "groups altered", 500;
    topics_deleted: "topics deleted", 500;
    groups_deleted: "groups deleted", 200;
    clocks: "wall clocks set", 1_000;
    looks: "comparisons of everything", 10_000;
    strict: "comparisons that left nothing open for want of room", 35_000;
}
