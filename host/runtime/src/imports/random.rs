//! `soma:capsule/random`.

use wasmtime::bail;

use crate::bindings::soma::capsule::random;
use crate::outcome::HostFault;
use crate::state::InvocationState;

/// As many as `getrandom(2)` gives without being interruptible, with room to spare for any key.
const MOST_AT_ONCE: u32 = 64 << 10;

impl random::Host for InvocationState {
    fn bytes(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        if len > MOST_AT_ONCE {
            bail!("{len} random bytes asked for at once, {MOST_AT_ONCE} is the most");
        }
        let mut bytes = vec![0; len as usize];
        self.surroundings
            .fill(&mut bytes)
            .map_err(|error| HostFault(format!("no randomness: {error}")))?;
        Ok(bytes)
    }
}
