//! soma-host
