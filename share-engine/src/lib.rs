//! Embedded share-partition engine.
