//! How often something happened over all cases of a test: a run in which a rule never came into play has shown nothing
//! of it.

use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static SEEN: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Something happened so often; a truth counts for one.
pub(crate) fn saw(what: &'static str, times: impl Into<u64>) {
    SEEN.with_borrow_mut(|seen| *seen.entry(what).or_default() += times.into());
}

/// Everything that was looked out for by this thread.
pub(crate) fn seen() -> BTreeMap<&'static str, u64> {
    SEEN.take()
}
