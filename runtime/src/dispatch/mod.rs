//! x
mod breaker;
mod pace;
mod spread;
