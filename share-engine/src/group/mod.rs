//! Share groups: configuration and members. Sans-IO.
