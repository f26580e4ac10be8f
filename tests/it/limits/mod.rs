//! Limits of the runtime, as an application meets them.

mod idle;
mod owners;
mod places;
mod timeouts;
