//! soma-runtime
