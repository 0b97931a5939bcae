//! Counts the memory and tables of one store, all of them together, and refuses what is over the limit. It remembers refusals, so that
//! a guest that gives up for want of memory is told from one that traps.

use wasmtime::ResourceLimiter;

use super::spec::HandlerLimits;

/// One per store. Linear memories never shrink, so what is counted is also the high-water mark.
#[derive(Debug)]
pub(super) struct Limiter {
    memory: u64,
    memory_limit: u64,
    memory_refused: bool,
    tables: u64,
    tables_limit: u64,
    /// The first size over the limit, until the next call.
    tables_refused: Option<u64>,
}

impl Limiter {
    pub(super) fn new(limits: &HandlerLimits) -> Self {
        Self {
            memory: 0,
            memory_limit: limits.memory,
            memory_refused: false,
            tables: 0,
            tables_limit: limits.table_elements,
            tables_refused: None,
        }
    }

    /// Bytes of all memories.
    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    pub(super) fn memory_refused(&self) -> bool {
        self.memory_refused
    }

    pub(super) fn tables_refused(&self) -> Option<u64> {
        self.tables_refused
    }

    /// Refusals are of one call.
    pub(super) fn forget_refusals(&mut self) {
        self.memory_refused = false;
        self.tables_refused = None;
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current) as u64);
        if wanted > self.memory_limit {
            self.memory_refused = true;
            return Ok(false);
        }
        // Beyond the maximum it fails by itself, and nothing has grown.
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.memory = wanted;
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "memory growth failed");
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.tables.saturating_add(desired.saturating_sub(current) as u64);
        if wanted > self.tables_limit {
            self.tables_refused.get_or_insert(wanted);
            return Ok(false);
        }
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.tables = wanted;
        }
        Ok(true)
    }
}
