//! Everything one call owns. It lives in the store, and goes with it.

use std::sync::Arc;

use soma_capability::Limits;
use tokio::sync::mpsc;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::balance::Allowance;
use crate::clock::Surroundings;
use crate::effects::Effects;
use crate::given::Given;
use crate::imports::fields::MOST_FIELD_BYTES;
use crate::imports::http::SendHook;
use crate::imports::stdio::LogStream;
use crate::invocation::Progress;
use crate::log::GuestLog;
use crate::mask::Masking;
use crate::meter::Meter;

/// The state of one invocation.
pub(crate) struct InvocationState {
    pub(crate) meter: Meter,
    pub(crate) surroundings: Surroundings,
    pub(crate) given: Given,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) masking: Masking,
    pub(crate) progress: Option<mpsc::Sender<Progress>>,
    pub(crate) hook: SendHook,
    pub(crate) effects: Effects,
    pub(crate) table: ResourceTable,
    /// Made when a guest first asks WASI for something: most calls never do.
    wasi: Option<WasiCtx>,
    wasi_http: WasiHttpCtx,
}

impl InvocationState {
    pub(crate) fn new(
        limits: &Limits,
        allowance: Allowance,
        surroundings: Surroundings,
        given: Given,
        effects: Effects,
        progress: Option<mpsc::Sender<Progress>>,
    ) -> Self {
        let meter = Meter::new(limits, allowance);
        let masking = given.network.masking();
        let log = Arc::new(GuestLog::new(limits, masking.clone()));
        let hook = SendHook::new(
            given.network.clone(),
            effects.clone(),
            limits,
            meter.traffic().clone(),
            log.clone(),
            masking.clone(),
        );
        let mut wasi_http = WasiHttpCtx::new();
        wasi_http.set_field_size_limit(MOST_FIELD_BYTES);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles as usize);
        Self {
            meter,
            surroundings,
            given,
            log,
            masking,
            progress,
            hook,
            effects,
            table,
            wasi: None,
            wasi_http,
        }
    }
}

/// No arguments, no environment, no files, no sockets: what WASI needs so that a language's standard
/// library starts, and nothing to reach the machine with.
fn empty_wasi(surroundings: Surroundings, log: &Arc<GuestLog>) -> WasiCtx {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(LogStream::new(log.clone(), tracing::Level::INFO, "stdout"))
        .stderr(LogStream::new(log.clone(), tracing::Level::WARN, "stderr"))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    surroundings.furnish(&mut wasi);
    wasi.build()
}

impl WasiView for InvocationState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self
            .wasi
            .get_or_insert_with(|| empty_wasi(self.surroundings, &self.log));
        WasiCtxView {
            ctx,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for InvocationState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.wasi_http,
            table: &mut self.table,
            hooks: &mut self.hook,
        }
    }
}
