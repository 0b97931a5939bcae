//! The lines of ARCHITECTURE.md that say where the backends differ. Each stands there word for word, in the table "Where the backends
//! differ".

pub(crate) const STAYS: &str = "what is given back stays with its member";
pub(crate) const EMITS: &str = "emitted records are stored before the acceptance";
pub(crate) const CHECKPOINTS: &str = "a parked record and its checkpoint are in the host's memory";
pub(crate) const DELAYS: &str = "the delay of a release is kept by the host";
pub(crate) const WINDOW: &str = "the window is a span of offsets";
pub(crate) const TOLD: &str = "a lost lease is told by an event";
pub(crate) const PARKING: &str = "no more is acquired while `parking` records wait";
pub(crate) const GONE: &str = "a member that is gone gives back at once";
pub(crate) const COUNTS: &str = "a delivery that nobody settled is not counted after a crash of the broker";
pub(crate) const ONE_MORE: &str = "a record whose last lock ends is delivered to the host once more";
pub(crate) const ATTEMPTS: &str = "`attempts` is less than the brokers' limit";
pub(crate) const HOSTS: &str = "many hosts may run on one cluster";
pub(crate) const CODECS: &str = "the engine stores records uncompressed";
pub(crate) const TRANSACTIONS: &str = "the engine has no transactions of producers";
pub(crate) const PROCESS: &str = "members of the engine end with its process";
pub(crate) const BROKERS: &str = "the engine has no brokers";
pub(crate) const MAX_LEASE: &str = "`max-lease` is kept by the host alone";
pub(crate) const LEFT: &str = "who leaves with a parked record forgets it";
pub(crate) const LETTERS: &str = "a dead letter is no larger than its topic takes";
pub(crate) const TRIED: &str = "a dead letter that cannot be written is tried again";
