//! Bugs to plant: each stands where it might have been made, and whoever tests the engine has to notice. Feature `plant`
//! alone knows them; without it `planted!` is `false` wherever it stands.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Each bug with its name and what it does.
macro_rules! plants {
    ($($(#[doc = $doc:literal])* $plant:ident: $name:literal;)*) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Plant {
            $($(#[doc = $doc])* $plant,)*
        }

        impl Plant {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$plant),*];

            /// As it is named on a command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$plant => $name,)*
                }
            }
        }
    };
}

plants! {
    /// The journal is written and not synced.
    NoSync: "no-sync";
    /// Produces and settlements are answered when their group has its place; it is written and synced with the next one.
    AckBeforeSync: "ack-before-sync";
    /// A lease ends with the tick in which its time is over, not with the tick after it: up to a millisecond early.
    LeaseOffByOne: "lease-off-by-one";
    /// Recovery takes a group for whole without looking at its checksum.
    NoTornTailCheck: "no-torn-tail-check";
    /// A snapshot gets its name, and its directory is not synced.
    NoDirectorySync: "no-directory-sync";
    /// A snapshot says of every record that it was delivered once.
    CountNotPersisted: "count-not-persisted";
    /// The start offset moves over records that are acquired.
    StartPastAcquired: "start-past-acquired";
    /// A lease is not asked for its delivery.
    StaleAck: "stale-ack";
    /// A run that goes on into the next word leaves out the last bit of a word.
    WordBoundary: "word-boundary";
    /// Recovery takes a group of an older generation for the continuation of a newer one.
    NoGenerationCheck: "no-generation-check";
    /// A record that a snapshot says is parked has no timer any more.
    ParkedLost: "parked-lost";
    /// What is emitted is written without the acknowledgement that it came with.
    EmitWithoutAck: "emit-without-ack";
    /// A record that ends by itself, and not by a settlement, leaves no dead letter.
    LetterLeftOut: "letter-left-out";
    /// An open with `durability = "os"` leaves what it read in the page cache, and does not say otherwise.
    OpenNotSynced: "open-not-synced";
    /// A renewal gives half a lock.
    RenewedForHalf: "renewed-for-half";
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No bug has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is none of {}", names())]
pub struct UnknownPlant {
    name: String,
}

fn names() -> String {
    let names: Vec<&str> = Plant::ALL.iter().map(|plant| plant.name()).collect();
    names.join(", ")
}

impl FromStr for Plant {
    type Err = UnknownPlant;

    fn from_str(name: &str) -> Result<Self, UnknownPlant> {
        let found = Self::ALL.iter().find(|plant| plant.name() == name);
        found.copied().ok_or_else(|| UnknownPlant { name: name.to_owned() })
    }
}

/// The bug that every engine of this process has, plus 1; 0: none.
static ARMED: AtomicUsize = AtomicUsize::new(0);

/// Every engine of this process has this bug from now on, and no other.
pub fn arm(plant: Plant) {
    ARMED.store(plant as usize + 1, Ordering::Relaxed);
}

pub(crate) fn is_armed(plant: Plant) -> bool {
    ARMED.load(Ordering::Relaxed) == plant as usize + 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_plant_is_found_by_its_name() {
        for plant in Plant::ALL {
            assert_eq!(plant.to_string().parse::<Plant>().unwrap(), *plant);
        }
        let unknown = "none-such".parse::<Plant>().unwrap_err();
        assert!(unknown.to_string().contains("ack-before-sync"), "{unknown}");
    }
}
