//! `soma:capsule/clock`.

use crate::bindings::soma::capsule::clock;
use crate::state::InvocationState;

impl clock::Host for InvocationState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.surroundings.now_ms())
    }

    fn elapsed(&mut self) -> wasmtime::Result<u64> {
        Ok(self.surroundings.elapsed_ms())
    }
}
