//! Draining: moves what the journal holds into partition logs and snapshots, so that its files are free again.
