//! Ten million operations, and every rule holds. In a build with optimisation: `cargo test --release`.

#![cfg(all(feature = "sim", not(socket_iocp_planted)))]

use socket_iocp_torture::{Amount, Campaign};
use std::ops::ControlFlow;

#[global_allocator]
static ALLOCATOR: socket_iocp_torture::Allocator = socket_iocp_torture::Allocator;

#[test]
fn ten_million_operations_break_no_rule() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report =
        Campaign { seed: 0, amount: Amount::Operations(10_000_000), threads }.run(|_| ControlFlow::Continue(()));
    println!("{} operations in {} programs, {} callbacks", report.operations, report.programs, report.callbacks);
    assert!(report.failure.is_none(), "{:#?}", report.failure);
    assert!(report.operations >= 10_000_000 && report.callbacks > 0);
}
