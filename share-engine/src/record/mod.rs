//! Kafka record batches, format v2, as they lie on disk and cross the wire. Pure bytes: no file, no clock.
