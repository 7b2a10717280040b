//! `soma:capsule/progress`.

use crate::bindings::soma::capsule::progress;
use crate::invocation::Progress;
use crate::state::InvocationState;

impl progress::Host for InvocationState {
    fn report(
        &mut self,
        done: f64,
        total: Option<f64>,
        mut message: Option<String>,
    ) -> wasmtime::Result<()> {
        if let Some(listener) = &self.progress {
            if let Some(message) = &mut message {
                self.masking.text_in(message);
            }
            // A listener that is slow, or gone, misses a step; the call does not wait for it.
            let _ = listener.try_send(Progress {
                done,
                total,
                message,
            });
        }
        Ok(())
    }
}
