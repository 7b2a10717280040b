//! The bounds on one call.

use serde::{Deserialize, Serialize};

/// Every bound on one call. What passes a bound ends the call, or is refused, as each field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Limits {
    /// Fuel: about one unit an instruction. Running out ends the call.
    pub fuel: u64,
    /// Wall-clock milliseconds, waiting in the host included.
    pub time_ms: u64,
    /// Bytes of linear memory, all the instance's memories together. Growing past it fails.
    pub memory_bytes: u64,
    /// Elements in tables, all the instance's tables together.
    pub table_elements: u64,
    /// Resource handles alive at once.
    pub handles: u32,
    /// Bytes the guest may pass to the host in one host call.
    pub copy_bytes: u64,
    /// Bytes of the input's JSON text. A longer one is refused before the call.
    pub input_bytes: u64,
    /// Bytes of the answer: structured JSON and content as JSON together, or an error's message.
    pub output_bytes: u64,
    /// Lines in the log. Further lines are dropped and counted.
    pub log_lines: u64,
    /// Bytes in the log. Further lines are dropped and counted.
    pub log_bytes: u64,
    /// Calls from the guest to the host, of any kind.
    pub host_calls: u64,
    /// Bytes of one response body from the network.
    pub response_bytes: u64,
}

/// What an author asks for in `capsule.toml`. What is not asked is the host's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LimitsAsked {
    /// See [`Limits::fuel`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// See [`Limits::time_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// Mebibytes of memory; see [`Limits::memory_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
}

const MIB: u64 = 1 << 20;

impl Default for Limits {
    /// What a capsule gets that asks for nothing.
    fn default() -> Self {
        Self {
            fuel: 10_000_000_000,
            time_ms: 30_000,
            memory_bytes: 64 * MIB,
            table_elements: 20_000,
            handles: 1_000,
            copy_bytes: 16 * MIB,
            input_bytes: 4 * MIB,
            output_bytes: 4 * MIB,
            log_lines: 1_000,
            log_bytes: MIB,
            host_calls: 100_000,
            response_bytes: 16 * MIB,
        }
    }
}

impl Limits {
    /// These limits with what a capsule asks for put in their place, nothing above `maximum`.
    #[must_use]
    pub fn asked(mut self, asked: &LimitsAsked, maximum: &Self) -> Self {
        self.fuel = asked.fuel.unwrap_or(self.fuel);
        self.time_ms = asked.time_ms.unwrap_or(self.time_ms);
        self.memory_bytes = asked
            .memory_mib
            .map_or(self.memory_bytes, |mib| mib.saturating_mul(MIB));
        self.at_most(maximum)
    }

    /// The smaller of the two in every field.
    #[must_use]
    pub fn at_most(self, maximum: &Self) -> Self {
        Self {
            fuel: self.fuel.min(maximum.fuel),
            time_ms: self.time_ms.min(maximum.time_ms),
            memory_bytes: self.memory_bytes.min(maximum.memory_bytes),
            table_elements: self.table_elements.min(maximum.table_elements),
            handles: self.handles.min(maximum.handles),
            copy_bytes: self.copy_bytes.min(maximum.copy_bytes),
            input_bytes: self.input_bytes.min(maximum.input_bytes),
            output_bytes: self.output_bytes.min(maximum.output_bytes),
            log_lines: self.log_lines.min(maximum.log_lines),
            log_bytes: self.log_bytes.min(maximum.log_bytes),
            host_calls: self.host_calls.min(maximum.host_calls),
            response_bytes: self.response_bytes.min(maximum.response_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_never_passes_the_maximum() {
        let maximum = Limits {
            fuel: 5,
            ..Limits::default()
        };
        let asked = LimitsAsked {
            fuel: Some(u64::MAX),
            memory_mib: Some(u64::MAX),
            time_ms: Some(7),
        };
        let limits = Limits::default().asked(&asked, &maximum);
        assert_eq!((limits.fuel, limits.time_ms), (5, 7));
        assert_eq!(limits.memory_bytes, maximum.memory_bytes);
    }
}
