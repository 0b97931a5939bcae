//! The calls to the host, all of them. In a component they are the imports of the contract; elsewhere, in native unit
//! tests, they go to the stand-in of `testing`. Nothing else in the crate calls an import.
#[cfg(target_arch = "wasm32")]
mod imports;
#[cfg(target_arch = "wasm32")]
pub(crate) use imports::*;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::calls::*;
