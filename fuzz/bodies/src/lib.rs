//! What each fuzz target does with its input: it returns, or panics at what must not be.
//!
//! The targets are built by nightly and driven by libFuzzer (`fuzz/Cargo.toml`, `ci/fuzz`); `tests/corpus.rs` runs the same
//! functions on the inputs that are kept, in every build.

#![deny(missing_docs)]

#[cfg(target_os = "linux")]
mod c;
mod http;
#[cfg(target_os = "linux")]
mod interface;
#[cfg(target_os = "linux")]
mod options;
mod pieces;
#[allow(dead_code, reason = "the example has more of them")]
#[path = "../../../examples/rust/src/bin/http/request.rs"]
mod request;
mod resp;
#[allow(dead_code, reason = "of its parser alone is fuzzed")]
#[path = "../../../examples/rust/src/bin/redis/resp.rs"]
mod resp_parser;
#[allow(dead_code, reason = "the parser names its statuses")]
#[path = "../../../examples/rust/src/bin/http/response.rs"]
mod response;

pub use http::http;
#[cfg(target_os = "linux")]
pub use interface::interface;
#[cfg(target_os = "linux")]
pub use options::options;
pub use resp::resp;
