//! What wasmtime generates from `wit/`. The rest of the crate names these types through here.

pub(crate) use self::wasi::wasi::keyvalue;
pub(crate) use exports::soma::capsule::tools;

wasmtime::component::bindgen!({
    path: "../../wit/0.1.0",
    world: "capsule",
    imports: {
        "soma:capsule/http": async | trappable,
        "soma:capsule/http-stream": async | trappable,
        "soma:capsule/kv": async | trappable,
        "soma:capsule/links": async | trappable,
        "soma:capsule/toolbox": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "soma:capsule/http-stream.exchange": crate::imports::http_stream::Exchange,
    },
});

/// `wasi:keyvalue`; what else there is of WASI has crates of its own.
mod wasi {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-keyvalue-0.2.0-draft",
        world: "imports",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": crate::imports::keyvalue::Bucket,
        },
    });
}
