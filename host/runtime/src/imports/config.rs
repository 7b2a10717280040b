//! `soma:capsule/config`.

use soma_capability::ConfigKey;

use crate::bindings::soma::capsule::config;
use crate::state::InvocationState;

impl config::Host for InvocationState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        // What is no name is no setting's.
        let key = key.parse::<ConfigKey>().ok();
        let value = key.and_then(|key| self.given.settings.get(&key).map(str::to_owned));
        Ok(value)
    }
}
