//! Capsules in other languages, from `wit/0.1.0` and their own toolchains.
mod placeholder {}
