//! The sidecar's entry point.

fn main() {}
