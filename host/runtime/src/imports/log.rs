//! `soma:capsule/log`.

use crate::bindings::soma::capsule::log;
use crate::state::InvocationState;

impl log::Host for InvocationState {
    fn write(
        &mut self,
        level: log::Level,
        target: String,
        message: String,
    ) -> wasmtime::Result<()> {
        self.log.write(level.into(), &target, &message);
        Ok(())
    }
}

impl From<log::Level> for tracing::Level {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Trace => Self::TRACE,
            log::Level::Debug => Self::DEBUG,
            log::Level::Info => Self::INFO,
            log::Level::Warn => Self::WARN,
            log::Level::Error => Self::ERROR,
        }
    }
}
