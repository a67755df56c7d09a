//! Every planted bug is found: so the torture can fail. It is a build of its own, see `./test`.

#![cfg(all(feature = "sim", socket_iocp_planted))]

use socket_iocp::{Bug, plant};
use socket_iocp_torture::{Amount, Campaign, Program, run};
use std::ops::ControlFlow;

/// Operations in which each must be found.
const OPERATIONS: u64 = 3_000_000;

#[global_allocator]
static ALLOCATOR: socket_iocp_torture::Allocator = socket_iocp_torture::Allocator;

// One test: a planted bug is the whole process's.
#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        plant(Some(*bug));
        let campaign = Campaign { seed: 0, amount: Amount::Operations(OPERATIONS), threads: 1 };
        let report = campaign.run(|_| ControlFlow::Continue(()));
        let Some(failure) = report.failure else {
            missed.push(*bug);
            continue;
        };
        let (program, broken) = failure.shrunk;
        println!("{bug:?}: after {} operations, cut down to {} ({broken:.100})", report.operations, program.ops.len());
        plant(None);
        let healthy = run(&program);
        assert_eq!(healthy.broken, None, "{bug:?}: what finds it breaks without it too: {program:?}");
        // It is found again from the seed alone.
        plant(Some(*bug));
        assert!(run(&Program::from_seed(failure.seed)).broken.is_some(), "{bug:?} is not found again");
    }
    plant(None);
    assert!(missed.is_empty(), "never found: {missed:?}");
}
