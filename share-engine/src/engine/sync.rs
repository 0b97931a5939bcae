//! What threads meet at: locks, condition variables, atomics, threads. They are the standard library's; in a build with `--cfg loom` or
//! `--cfg shuttle` those of a checker, which decides who runs next. Used by everything in `engine` that two threads touch.

#[cfg(not(any(loom, shuttle)))]
pub(super) use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, RwLock, atomic},
    thread,
};

#[cfg(loom)]
pub(super) use loom::{
    sync::{Arc, Mutex, MutexGuard, RwLock, atomic},
    thread,
};
#[cfg(loom)]
pub(super) use timeless::Condvar;

#[cfg(shuttle)]
pub(super) use shuttle::{
    sync::{Arc, Condvar, Mutex, MutexGuard, RwLock, atomic},
    thread,
};

/// As shuttle has it: a wait with a limit never reaches it, so that a wake-up that is lost is missed for ever.
#[cfg(loom)]
mod timeless {
    use std::sync::{LockResult, PoisonError};
    use std::time::Duration;

    use super::MutexGuard;

    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
            self.0.wait(guard)
        }

        pub(crate) fn wait_timeout_while<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            _: Duration,
            mut condition: impl FnMut(&mut T) -> bool,
        ) -> LockResult<(MutexGuard<'a, T>, ())> {
            while condition(&mut guard) {
                guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            Ok((guard, ()))
        }
    }
}
