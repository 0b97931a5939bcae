//! What a handler may return, and how `?` turns an error into an outcome. The one rule: an error is a release, unless
//! the handler says otherwise with [`ResultExt::or_reject`] or a [`Reject`].
use std::error::Error;
use std::fmt::{self, Display};
use std::time::Duration;

use crate::{Outcome, Reject, Release, Renew, reason};

/// What most handlers return: `?` works on every error type.
pub type Result<T = Outcome, E = Failure> = std::result::Result<T, E>;

/// Why a handler gave up: a release or a rejection. Every `std::error::Error` converts into a release with its text and
/// those of its sources; [`Release`] and [`Reject`] convert as they are.
// Not an `Error` itself, so that the blanket conversion below does not collide with `From<T> for T`.
#[derive(Debug)]
pub struct Failure(Outcome);

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let text = reason::bounded(format_args!("{}", Chain(&error)));
        Self(Release::backoff().reason(text).into())
    }
}

impl From<Release> for Failure {
    fn from(release: Release) -> Self {
        Self(release.into())
    }
}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Self(reject.into())
    }
}

/// What a record handler may return: [`Outcome`], one of its builders, `()` for accept, or a `Result` of these whose error
/// is [`Failure`], [`Release`], [`Reject`] or anything that can be displayed (a release).
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "it returns `Outcome`, `Release`, `Reject`, `Renew`, `()`, or a `Result` of one of these"
)]
pub trait IntoOutcome {
    /// The outcome that this value stands for.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl IntoOutcome for Release {
    fn into_outcome(self) -> Outcome {
        self.into()
    }
}

impl IntoOutcome for Reject {
    fn into_outcome(self) -> Outcome {
        self.into()
    }
}

impl IntoOutcome for Renew {
    fn into_outcome(self) -> Outcome {
        self.into()
    }
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Accept
    }
}

impl<T: IntoOutcome, E: IntoFailure> IntoOutcome for std::result::Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => value.into_outcome(),
            Err(error) => error.into_failure().0,
        }
    }
}

/// What may stand as the error in a handler's `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a handler",
    note = "it is `Failure`, `Release`, `Reject`, or anything that implements `Display`"
)]
pub trait IntoFailure {
    /// The failure that this error stands for.
    fn into_failure(self) -> Failure;
}

impl<E: Display> IntoFailure for E {
    fn into_failure(self) -> Failure {
        // `{:#}`: error types that keep a chain, such as anyhow's, print all of it.
        Failure(Outcome::release(self))
    }
}

impl IntoFailure for Failure {
    fn into_failure(self) -> Failure {
        self
    }
}

impl IntoFailure for Release {
    fn into_failure(self) -> Failure {
        self.into()
    }
}

impl IntoFailure for Reject {
    fn into_failure(self) -> Failure {
        self.into()
    }
}

/// Says what an error means, where `?` alone would say "try again".
pub trait ResultExt<T> {
    /// The record can never be done: the error's text is the reason.
    ///
    /// # Errors
    /// The rejection, in place of the error.
    fn or_reject(self) -> std::result::Result<T, Reject>;

    /// Try again, but not before `delay`: the error's text is the reason.
    ///
    /// # Errors
    /// The release, in place of the error.
    fn or_release_after(self, delay: Duration) -> std::result::Result<T, Release>;
}

impl<T, E: Display> ResultExt<T> for std::result::Result<T, E> {
    fn or_reject(self) -> std::result::Result<T, Reject> {
        self.map_err(Reject::new)
    }

    fn or_release_after(self, delay: Duration) -> std::result::Result<T, Release> {
        self.map_err(|error| Release::after(delay).reason(error))
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// An error and its sources, `outer: inner`.
struct Chain<'a>(&'a dyn Error);

impl Display for Chain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(source) = next {
            write!(out, ": {source}")?;
            next = source.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(reason: &str) -> Outcome {
        Outcome::release(reason)
    }

    #[test]
    fn an_error_releases_with_its_chain() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl Display for Outer {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("no count")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let handle = || -> Result {
            let _: u8 = "300".parse().map_err(Outer)?;
            Ok(Outcome::accept())
        };
        assert_eq!(
            handle().into_outcome(),
            released("no count: number too large to fit in target type")
        );
    }

    #[test]
    fn a_handler_may_return_many_shapes() {
        assert_eq!(().into_outcome(), Outcome::Accept);
        assert_eq!(Ok::<(), String>(()).into_outcome(), Outcome::Accept);
        assert_eq!(Err::<Outcome, _>("no").into_outcome(), released("no"));
        assert_eq!(
            Err::<Outcome, _>(Reject::new("no")).into_outcome(),
            Outcome::reject("no")
        );
        assert_eq!(Err::<(), _>("no").or_reject().into_outcome(), Outcome::reject("no"));
        assert_eq!(Renew::now().into_outcome(), Outcome::Renew(Renew::now()));
        let later = Duration::from_secs(9);
        let late = Err::<(), _>("no").or_release_after(later).into_outcome();
        assert_eq!(late, Release::after(later).reason("no").into_outcome());
    }

    #[test]
    fn rejections_and_releases_pass_through_the_question_mark() {
        let reject = || -> Result { Err(Reject::new("never"))? };
        assert_eq!(reject().into_outcome(), Outcome::reject("never"));
        let release = || -> Result { Err(Release::backoff().reason("later"))? };
        assert_eq!(release().into_outcome(), released("later"));
    }
}
