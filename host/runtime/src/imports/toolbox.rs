//! `soma:capsule/toolbox`.

use crate::bindings::soma::capsule::toolbox as wit;
use crate::state::InvocationState;
use crate::toolbox::{InnerCall, NoAnswer};

impl wit::Host for InvocationState {
    async fn call(
        &mut self,
        capsule: String,
        tool: String,
        input_json: String,
    ) -> wasmtime::Result<Result<String, wit::Error>> {
        let call = InnerCall {
            capsule,
            tool,
            input: input_json,
        };
        let left = self.meter.left();
        let inner = self.given.tools.call(call, left).await;
        self.meter.tool_ran(&inner)?;
        if inner.has_effects {
            self.effects.within();
        }
        Ok(inner.result.map_err(wit::Error::from))
    }
}

impl From<NoAnswer> for wit::Error {
    fn from(why: NoAnswer) -> Self {
        match why {
            NoAnswer::Denied(why) => Self::Denied(why),
            NoAnswer::Problem {
                code,
                detail,
                retry_after_ms,
            } => Self::Problem(wit::Problem {
                code: code.to_owned(),
                detail,
                retry_after_ms,
            }),
        }
    }
}
