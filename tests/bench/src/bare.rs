//! What the others are compared with: wasmtime and axum with nothing of ours around them.

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

    /// Instantiates and calls the one tool once, in a store that `prepare` has seen.
    pub(crate) async fn call(
        &self,
        input: &str,
        prepare: impl FnOnce(&mut Store<Bare>) -> wasmtime::Result<()>,
    ) -> anyhow::Result<()> {
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
        answer.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Ok(())
    }
}

/// The axum handler that (b) is held against: it parses JSON and gives the same back.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let router = axum::Router::new().route(
        "/echo",
        axum::routing::post(|axum::Json(body): axum::Json<serde_json::Value>| async {
            axum::Json(body)
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}
