//! Who may do what, from outside: how callers are known, what is hidden from whom, what browsers may do, what one
//! principal may take, what the audit log says, and which settings are refused.

mod audit;
mod browsers;
mod hiding;
mod limits;
mod local;
mod unsafe_settings;
mod web_tokens;
