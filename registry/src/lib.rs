//! soma-registry
