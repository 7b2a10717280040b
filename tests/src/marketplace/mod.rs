//! `soma marketplace serve`, through the client and over bare HTTP.

mod bad_input;
mod crash;
mod log;
mod oci;
mod openapi;
mod owners;
mod publish;
mod search;
mod tokens;
mod witness;
