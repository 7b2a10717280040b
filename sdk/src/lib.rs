//! soma-sdk
