//! The usual `log` macros, and panics, on their way to the operator's log. Lines below `info` stay
//! in the guest unless it asks: libraries write them by the thousand, and each is a host call.

/// Sends log lines and panic messages to the host. Natively the process keeps its own logger.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn install() {}

/// Sends log lines and panic messages to the host. Doing it again changes nothing.
#[cfg(target_family = "wasm")]
pub(crate) fn install() {
    if log::set_logger(&HostLog).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
        std::panic::set_hook(Box::new(|panic| log::error!(target: "panic", "{panic}")));
    }
}

#[cfg(target_family = "wasm")]
struct HostLog;

#[cfg(target_family = "wasm")]
impl log::Log for HostLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        use crate::bindings::soma::capsule::log::{Level, write};
        let level = match record.level() {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        write(level, record.target(), &record.args().to_string());
    }

    fn flush(&self) {}
}
