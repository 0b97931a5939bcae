//! What a batch handler may return: one outcome for all records, or one each.
use crate::__private::BatchOutcome as Wire;
use crate::{IntoFailure, IntoOutcome, Outcome};

/// What becomes of the records of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an outcome does something only when the handler returns it"]
pub enum BatchOutcome {
    /// The same for every record.
    All(Outcome),
    /// One a record, in order. Too few: the rest is released. Too many: a fault, and all are released.
    Each(Vec<Outcome>),
}

/// What a batch handler may return: a `Vec` of anything that is [`IntoOutcome`] (one each), an [`Outcome`] or `()` (the same
/// for all), [`BatchOutcome`], or a `Result` of these (an error is for all).
#[diagnostic::on_unimplemented(
    message = "a batch handler cannot return `{Self}`",
    note = "it returns a `Vec` of outcomes, `BatchOutcome`, `Outcome`, `()`, or a `Result` of one of these"
)]
pub trait IntoBatchOutcome {
    /// The outcome that this value stands for.
    fn into_batch_outcome(self) -> BatchOutcome;
}

impl IntoBatchOutcome for BatchOutcome {
    fn into_batch_outcome(self) -> BatchOutcome {
        self
    }
}

impl IntoBatchOutcome for Outcome {
    fn into_batch_outcome(self) -> BatchOutcome {
        BatchOutcome::All(self)
    }
}

impl IntoBatchOutcome for () {
    fn into_batch_outcome(self) -> BatchOutcome {
        BatchOutcome::All(Outcome::Accept)
    }
}

impl<T: IntoOutcome> IntoBatchOutcome for Vec<T> {
    fn into_batch_outcome(self) -> BatchOutcome {
        BatchOutcome::Each(self.into_iter().map(IntoOutcome::into_outcome).collect())
    }
}

impl<T: IntoBatchOutcome, E: IntoFailure> IntoBatchOutcome for Result<T, E> {
    fn into_batch_outcome(self) -> BatchOutcome {
        match self {
            Ok(value) => value.into_batch_outcome(),
            Err(error) => BatchOutcome::All(error.into_failure().into()),
        }
    }
}

impl From<BatchOutcome> for Wire {
    fn from(outcome: BatchOutcome) -> Self {
        match outcome {
            BatchOutcome::All(outcome) => Self::All(outcome.into()),
            BatchOutcome::Each(outcomes) => Self::Each(outcomes.into_iter().map(Into::into).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reject;

    #[test]
    fn a_list_is_one_each_and_an_error_is_for_all() {
        let each = vec![Ok(()), Err(Reject::new("bad"))].into_batch_outcome();
        assert_eq!(each, BatchOutcome::Each(vec![Outcome::Accept, Outcome::reject("bad")]));
        let all = Err::<Vec<Outcome>, _>("down").into_batch_outcome();
        assert_eq!(all, BatchOutcome::All(Outcome::release("down")));
    }
}
