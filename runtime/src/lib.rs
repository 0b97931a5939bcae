//! Sharemill host.
