//! The `quell` server binary.
fn main() {}
