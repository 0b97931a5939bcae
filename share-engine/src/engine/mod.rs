//! The engine: threads and handles around the sans-IO parts.

pub mod reply;
