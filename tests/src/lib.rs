//! The tests are in `tests/`; this crate is only their home, and that of the README's programs.

/// Its Rust program compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
