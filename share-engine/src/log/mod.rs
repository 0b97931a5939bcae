//! Partition logs: what outlived the journal, one log a partition, in Kafka's own log and index format.
