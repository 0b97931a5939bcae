//! The last that a call says on standard error: why it gave up, if it traps after it. Kept beside the log, whose budgets and lengths of lines
//! are for people who read along.

/// Lines that compilers print after what matters.
const ADVICE: &str = "note: ";

#[derive(Debug, Default)]
pub(super) struct Complaint {
    line: Vec<u8>,
    last: Vec<u8>,
}

impl Complaint {
    /// More on standard error. No more than `most` bytes of a line are kept.
    pub(super) fn hear(&mut self, bytes: &[u8], most: usize) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let mut next = lines.next();
        while let Some(piece) = next {
            let room = most.saturating_sub(self.line.len());
            self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            next = lines.next();
            if next.is_some() {
                self.end_line();
            }
        }
    }

    /// The last line that says something, as it was written; begins anew.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.end_line();
        let last = std::mem::take(&mut self.last);
        (!last.is_empty()).then_some(last)
    }

    fn end_line(&mut self) {
        let says_something = !self.line.trim_ascii().is_empty() && !self.line.starts_with(ADVICE.as_bytes());
        if says_something {
            std::mem::swap(&mut self.line, &mut self.last);
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_something_is_kept() {
        for (pieces, wanted) in [
            (&[][..], None),
            (&["\n \n"], None),
            (&["one\n", "two\n"], Some("two")),
            (&["one\ntw", "o"], Some("two")),
            (&["one\n\n"], Some("one")),
            (
                &["panicked at 'x'\nnote: run with `RUST_BACKTRACE=1`\n"],
                Some("panicked at 'x'"),
            ),
            // Its beginning says more than its end.
            (&["0123456789ab", "cdef\n"], Some("0123456789")),
        ] {
            let mut complaint = Complaint::default();
            for piece in pieces {
                complaint.hear(piece.as_bytes(), 10.max(wanted.map_or(0, str::len)));
            }
            assert_eq!(complaint.take().as_deref(), wanted.map(str::as_bytes), "{pieces:?}");
            assert_eq!(complaint.take(), None);
        }
    }
}
