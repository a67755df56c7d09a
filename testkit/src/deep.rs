//! How much a test does: enough for every change, or as much as a long run has time for.

use std::env;

/// Whether the long form of the tests is wanted: `SOCKET_IOCP_DEEP=1`, which `./test --deep` sets.
pub fn is_deep() -> bool {
    env::var("SOCKET_IOCP_DEEP").is_ok_and(|value| value == "1")
}

/// How many tries of something: the first number in the gate, the second in the long form.
pub fn tries(quick: u64, deep: u64) -> u64 {
    if is_deep() { deep } else { quick }
}

/// The seeds of a test: so many from 1 on, or the one that `SOCKET_IOCP_TEST_SEED` names.
pub fn seeds(quick: u64, deep: u64) -> Vec<u64> {
    match env::var("SOCKET_IOCP_TEST_SEED") {
        Ok(seed) => vec![seed.parse().expect("SOCKET_IOCP_TEST_SEED is a number")],
        Err(_) => (1..=tries(quick, deep)).collect(),
    }
}
