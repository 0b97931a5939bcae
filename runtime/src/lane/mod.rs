//! x
mod chunk;
pub use chunk::{Chunk, Item, Phase};
