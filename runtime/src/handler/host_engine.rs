//! The process's one wasmtime engine: its configuration, its epoch thread, its linker with every interface that a handler may import,
//! and the compile cache. Objects of two engines never meet, because there is one.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig};
use wasmtime_wasi_config::WasiConfig;

use super::bindings;
use super::compiled::CompileCache;
use super::load::LoadedHandler;
use super::load_error::LoadError;
use super::look::Looked;
use super::spec::HandlerSpec;
use super::state::HostState;
use super::ticker::Ticker;

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allocation {
    /// Pooling where the address space allows it, else sparing.
    #[default]
    Auto,
    /// Slots reserved up front; a fresh instance costs a quarter. An error where there is no room for it.
    Pooling,
    /// Mapped when needed, with 4 GiB of address space for each memory.
    OnDemand,
    /// Mapped when needed, and no more of the address space than what is used: for small machines. Every access is checked, and a
    /// memory that grows may have to move.
    Sparing,
}

/// What the engine is built with.
#[derive(Debug, Clone)]
pub struct HostEngineConfig {
    /// Instances of all deployments at once; each reserves address space for two memories when pooled.
    pub max_instances: u32,
    /// See [`Allocation`].
    pub allocation: Allocation,
    /// Bytes that one memory of any instance may ever have; deployments may ask for less.
    pub memory_max: u64,
    /// Where compiled components are kept; `None`: compile at every start.
    pub cache_dir: Option<PathBuf>,
    /// Time slice of a guest and grain of deadlines, 1 to 5 ms (values outside are brought in).
    pub tick: Duration,
}

impl Default for HostEngineConfig {
    fn default() -> Self {
        Self {
            max_instances: 1024,
            allocation: Allocation::Auto,
            memory_max: 1 << 30,
            cache_dir: None,
            tick: TICK_MIN,
        }
    }
}

/// Why the engine could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostEngineError {
    /// wasmtime refused the configuration, or the address space is too small for the pool that was insisted on.
    #[error("cannot start the wasm engine with {max_instances} instances: {message}")]
    Engine {
        /// As configured.
        max_instances: u32,
        /// wasmtime's words.
        message: String,
    },
    /// The compile cache's directory cannot be used.
    #[error("cannot use the compile cache {}: {source}", path.display())]
    Cache {
        /// As configured.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The epoch thread did not start.
    #[error("cannot start the epoch thread: {0}")]
    Thread(std::io::Error),
}

/// One per process; loads handlers. What it loaded keeps what it needs of it.
pub struct HostEngine {
    pub(super) engine: Engine,
    pub(super) linker: Linker<HostState>,
    pub(super) cache: Option<CompileCache>,
    pub(super) memory_max: u64,
    #[cfg(feature = "http")]
    pub(super) http: Arc<super::http::Client>,
    ticker: Arc<Ticker>,
    pooling: bool,
}

impl std::fmt::Debug for HostEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostEngine")
            .field("pooling", &self.pooling)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl HostEngine {
    /// Builds the engine and starts its epoch thread.
    pub fn new(config: &HostEngineConfig) -> Result<Self, HostEngineError> {
        let failed = |error: wasmtime::Error| HostEngineError::Engine {
            max_instances: config.max_instances,
            message: format!("{error:#}"),
        };
        let (engine, pooling) = build(config).map_err(failed)?;
        let cache = config
            .cache_dir
            .as_deref()
            .map(|dir| {
                CompileCache::open(dir, &engine).map_err(|source| HostEngineError::Cache {
                    path: dir.to_owned(),
                    source,
                })
            })
            .transpose()?;
        let linker = link(&engine).map_err(failed)?;
        let ticker = Ticker::start(&engine, config.tick.clamp(TICK_MIN, TICK_MAX)).map_err(HostEngineError::Thread)?;
        Ok(Self {
            engine,
            linker,
            cache,
            memory_max: config.memory_max,
            #[cfg(feature = "http")]
            http: Arc::new(super::http::Client::of_system()),
            ticker: Arc::new(ticker),
            pooling,
        })
    }

    /// Reads, checks, compiles (or maps) and pre-links the component at `source`. Takes milliseconds to seconds: not for a lane.
    pub fn load(&self, source: &Path, spec: Arc<HandlerSpec>) -> Result<Arc<LoadedHandler>, LoadError> {
        super::load::load(self, source, spec)
    }

    /// Looks into the component at `source`, whether it can be loaded or not.
    pub fn look(&self, source: &Path, spec: &Arc<HandlerSpec>) -> Result<Looked, LoadError> {
        super::look::look(self, source, spec)
    }

    /// As [`HostEngine::load`], for bytes that are here already; `name` stands for the path in messages.
    pub fn load_bytes(
        &self,
        name: &Path,
        bytes: &[u8],
        spec: Arc<HandlerSpec>,
    ) -> Result<Arc<LoadedHandler>, LoadError> {
        super::load::load_bytes(self, name, bytes, spec)
    }

    /// True when instances come from the pool.
    pub fn is_pooling(&self) -> bool {
        self.pooling
    }

    /// To be called once by every lane thread before its first call, which it makes some hundred microseconds faster.
    pub fn prepare_thread() {
        Engine::tls_eager_initialize();
    }

    /// With names of its own instead of the system's, for what it loads from here on.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn resolving_with(self, resolver: Arc<dyn super::http::Resolver>) -> Self {
        let http = Arc::new(super::http::Client::new(resolver));
        Self { http, ..self }
    }

    /// Reads the certificates that are trusted; why there are none, if so.
    #[cfg(feature = "http")]
    pub(super) fn prepare_tls(&self) -> Result<(), String> {
        self.http.prepare_tls()
    }

    #[cfg(not(feature = "http"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) fn prepare_tls(&self) -> Result<(), String> {
        Ok(())
    }

    pub(super) fn ticker(&self) -> &Arc<Ticker> {
        &self.ticker
    }
}

fn build(config: &HostEngineConfig) -> wasmtime::Result<(Engine, bool)> {
    let pooled = || Engine::new(base_config().allocation_strategy(pool(config))).map(|engine| (engine, true));
    let on_demand = |wanted: &Config| Engine::new(wanted).map(|engine| (engine, false));
    match config.allocation {
        Allocation::Pooling => pooled(),
        Allocation::OnDemand => on_demand(&base_config()),
        Allocation::Sparing => on_demand(&sparing_config()),
        Allocation::Auto => pooled().or_else(|error| {
            tracing::warn!(%error, "address space too small for an instance pool: instances are mapped on demand");
            on_demand(&sparing_config())
        }),
    }
}

/// Bounds checks instead of 4 GiB of address space a memory.
fn sparing_config() -> Config {
    let mut config = base_config();
    config
        .memory_reservation(0)
        .memory_reservation_for_growth(GROWTH_BYTES)
        .memory_guard_size(64 << 10);
    config
}

fn base_config() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_gc(false)
        .gc_support(false)
        .native_unwind_info(false)
        .memory_guaranteed_dense_image_size(128 << 20)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES));
    config
}

/// The figures beside `max_instances` were measured: a fresh stock guest costs 9 us with them, 36 us on demand.
fn pool(config: &HostEngineConfig) -> PoolingAllocationConfig {
    let n = config.max_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(n)
        .total_core_instances(n.saturating_mul(8))
        .total_memories(n)
        .total_tables(n.saturating_mul(2))
        .total_stacks(n)
        .max_memory_size(usize::try_from(config.memory_max).unwrap_or(usize::MAX))
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_component_instance_size(8 << 20)
        .max_core_instance_size(8 << 20)
        .max_core_instances_per_component(128)
        .max_memories_per_component(4)
        .max_tables_per_component(16)
        .max_tables_per_module(4)
        .max_memories_per_module(2)
        .max_unused_warm_slots(256)
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Everything that may be imported, closed until granted. `wasi:http` without its grant is refused by `load`, which says how to get it.
fn link(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_config::add_to_linker(&mut linker, |state: &mut HostState| {
        WasiConfig::from(state.config_values())
    })?;
    #[cfg(feature = "http")]
    super::http::add_to_linker(&mut linker)?;
    bindings::Host_::add_to_linker::<HostState, HasSelf<HostState>>(&mut linker, |state| state)?;
    Ok(linker)
}

const TICK_MIN: Duration = Duration::from_millis(1);
const TICK_MAX: Duration = Duration::from_millis(5);
/// By which a memory may grow before it has to move, where address space is spared.
const GROWTH_BYTES: u64 = 1 << 20;
const BACKTRACE_FRAMES: usize = 16;
/// Per table, in the pool; deployments have their own limit over all tables.
pub(super) const TABLE_ELEMENTS_MAX: usize = 100_000;
