//! The journal: one ring of preallocated files with one group commit, through which everything durable passes first.
