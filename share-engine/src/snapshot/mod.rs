//! Snapshots: catalog, partition logs and share partitions as of one journal position.
