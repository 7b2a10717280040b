//! What host/ops and docs/runbooks say to operators is true of hosts that run, as a real Prometheus
//! sees them.

mod broken;
mod shown;
