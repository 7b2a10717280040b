//! The guest's sources of time and chance: the real ones, or fixed ones for `describe`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

/// How finely a guest sees time. A fine clock is a tool for side channels.
const RESOLUTION: Duration = Duration::from_millis(1);

/// Where a call's clock and randomness come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Surroundings {
    /// The machine's clock, rounded down to the millisecond, and the kernel's randomness.
    Real { start: Instant },
    /// The same in every run: time stands still at 2000-01-01, and randomness is a sequence.
    Fixed,
}

/// 2000-01-01T00:00:00Z in milliseconds: late enough for code that subtracts from it.
const FIXED_NOW_MS: u64 = 946_684_800_000;

impl Surroundings {
    pub(crate) fn real() -> Self {
        Self::Real {
            start: Instant::now(),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        match self {
            Self::Real { .. } => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Self::Fixed => FIXED_NOW_MS,
        }
    }

    pub(crate) fn elapsed_ms(&self) -> u64 {
        match self {
            Self::Real { start } => u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            Self::Fixed => 0,
        }
    }

    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        match self {
            Self::Real { .. } => getrandom::fill(bytes),
            Self::Fixed => {
                for (byte, value) in bytes.iter_mut().zip(sequence()) {
                    *byte = value;
                }
                Ok(())
            }
        }
    }

    /// Gives WASI the same clocks and, where it is fixed, the same randomness.
    pub(crate) fn furnish(self, wasi: &mut WasiCtxBuilder) {
        wasi.wall_clock(self)
            .monotonic_clock(self)
            .max_random_size(64 << 10);
        if let Self::Fixed = self {
            wasi.secure_random(Deterministic::new(sequence().take(256).collect()))
                .insecure_random(Deterministic::new(sequence().take(256).collect()))
                .insecure_random_seed(0);
        }
    }
}

fn sequence() -> impl Iterator<Item = u8> {
    (0..=u8::MAX).cycle()
}

impl HostWallClock for Surroundings {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.now_ms())
    }
}

impl HostMonotonicClock for Surroundings {
    fn resolution(&self) -> u64 {
        u64::try_from(RESOLUTION.as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        self.elapsed_ms().saturating_mul(1_000_000)
    }
}
