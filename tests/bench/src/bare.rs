//! What the others are compared with: wasmtime and axum with nothing of ours around them.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;
use serde_json::value::RawValue;
use soma_runtime::{Engine as SomaEngine, EngineConfig, Usage};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1.0",
        world: "capsule",
        exports: { default: async },
    });
}

/// In the place of a call's id.
const INVOCATION: &str = "019ac9a0-0000-7000-8000-000000000000";

/// A guest linked to WASI alone: no limits, no counting, no host interfaces.
pub(crate) struct BareGuest {
    pre: bindings::CapsulePre<Bare>,
}

/// The least state that WASI works with.
pub(crate) struct Bare {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl BareGuest {
    /// On an engine of its own.
    pub(crate) fn pooled(
        mut config: Config,
        pool: PoolingAllocationConfig,
        component: &[u8],
    ) -> anyhow::Result<Self> {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        Self::on(&Engine::new(&config)?, component)
    }

    pub(crate) fn on(engine: &Engine, component: &[u8]) -> anyhow::Result<Self> {
        let component = Component::new(engine, component)?;
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        Ok(Self {
            pre: bindings::CapsulePre::new(linker.instantiate_pre(&component)?)?,
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    /// Instantiates and calls the one tool once, in a store that `prepare` has seen. Gives the
    /// structured answer.
    pub(crate) async fn call(
        &self,
        input: &str,
        prepare: impl FnOnce(&mut Store<Bare>) -> wasmtime::Result<()>,
    ) -> anyhow::Result<Option<String>> {
        let wasi = WasiCtx::builder().build();
        let state = Bare {
            wasi,
            table: ResourceTable::new(),
        };
        let mut store = Store::new(self.pre.engine(), state);
        prepare(&mut store)?;
        let instance = self.pre.instantiate_async(&mut store).await?;
        let answer = instance
            .soma_capsule_tools()
            .call_call(&mut store, "run", input)
            .await?;
        let answer = answer.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Ok(answer.structured)
    }
}

/// What (b) and (i) are held against, and what (g) asks. `/echo` parses JSON and gives the same back,
/// `/envelope` in what a host puts around an answer; `/call` has a component do it, in a fresh instance
/// on the engine that the host uses: no key, no schema, no limits, no metrics, no log.
pub(crate) async fn serve(component: &[u8]) -> anyhow::Result<()> {
    let engine = SomaEngine::new(&EngineConfig::default())?;
    let guest = Arc::new(BareGuest::on(engine.wasmtime(), component)?);
    // The same each time: nothing is measured here.
    let usage = serde_json::to_string(&Usage::default())?;
    let router = Router::new()
        .route("/echo", post(async |Json(body): Json<Value>| Json(body)))
        .route("/envelope", post(async move |body| enveloped(body, &usage)))
        .route("/call", post(async move |body| called(&guest, body).await))
        .route("/now", get(async || "answered"))
        .route("/late", get(late));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

fn enveloped(Json(body): Json<Value>, usage: &str) -> impl IntoResponse + use<> {
    let answer = format!(
        r#"{{"invocation":"{INVOCATION}","output":{{"structured":{body}}},"usage":{usage}}}"#
    );
    ([(CONTENT_TYPE, "application/json")], answer)
}

/// As a server far away answers.
async fn late() -> &'static str {
    tokio::time::sleep(Duration::from_millis(20)).await;
    "answered"
}

async fn called(guest: &BareGuest, body: String) -> Result<Json<Box<RawValue>>, StatusCode> {
    let answer = guest.call(&body, |store| store.set_fuel(u64::MAX)).await;
    let json = answer.ok().flatten().map(RawValue::from_string);
    match json {
        Some(Ok(json)) => Ok(Json(json)),
        _ => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
