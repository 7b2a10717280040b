//! What wasmtime generates from `wit/`. The rest of the crate names these types through here.

wasmtime::component::bindgen!({
    path: "../../wit/0.1.0",
    world: "capsule",
    imports: {
        "soma:capsule/http": async | trappable,
        "soma:capsule/http-stream": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "soma:capsule/http-stream.exchange": crate::imports::http_stream::Exchange,
    },
});

pub(crate) use exports::soma::capsule::tools;
