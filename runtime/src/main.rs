//! The `sharemill` command.
fn main() {}
