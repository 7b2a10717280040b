//! What a guest can import: one file an interface. All HTTP, by whichever door, ends in
//! [`http::SendHook::send`].

mod body;
mod clock;
mod config;
pub(crate) mod fields;
pub(crate) mod http;
pub(crate) mod http_stream;
mod in_flight;
pub(crate) mod keyvalue;
mod kv;
mod links;
mod log;
mod progress;
mod random;
pub(crate) mod stdio;
mod toolbox;
mod wasi_http;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::{Capsule, keyvalue as wasi_keyvalue};
use crate::state::InvocationState;

/// Links everything: `soma:capsule`, WASI 0.2 with nothing in it, `wasi:http` and `wasi:keyvalue`.
pub(crate) fn link(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<InvocationState>> {
    let mut linker = Linker::new(engine);
    Capsule::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasi_keyvalue::store::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    wasi_keyvalue::atomics::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    wasi_keyvalue::batch::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}
