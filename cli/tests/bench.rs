//! `socket-iocp bench` prints a table of echo and one of idle memory, and gives every round as JSON.
#![cfg(not(windows))]

mod common;

use common::{cannot_start, describe, json, on_each_backend, plain_tool, run};
use socket_iocp::BackendKind;

const SHORT: [&str; 8] = ["bench", "--rounds", "1", "--duration", "0.05", "--idle", "20", "--backend"];

/// Calls `test` for every backend, or sees that the bench says why it cannot measure any: its load needs io_uring.
fn on_each_measurable_backend(test: impl Fn(&str)) {
    if BackendKind::IoUring.probe().is_ok() {
        return on_each_backend(test);
    }
    let line = cannot_start(plain_tool(&SHORT).arg("readiness"));
    assert!(line.contains("an io_uring for the load"), "{line}");
}

#[test]
fn the_tables_have_a_row_for_each_server() {
    on_each_measurable_backend(|backend| {
        let output = run(plain_tool(&SHORT).arg(backend));
        assert!(output.status.success(), "{}", describe(&output));
        let text = String::from_utf8_lossy(&output.stdout);
        for server in ["on the same CPU | yardstick", "on the same CPU | socket-iocp", "20"] {
            let row = format!("| {backend} | {server} | ");
            assert!(text.lines().any(|line| line.starts_with(&row)), "{row}\n{text}");
        }
    });
}

#[test]
fn every_round_is_in_the_json() {
    on_each_measurable_backend(|backend| {
        let output = run(plain_tool(&SHORT).args([backend, "--json"]));
        assert!(output.status.success(), "{}", describe(&output));
        let report = json(&output);
        let rounds = report["rounds"].as_array().expect("a list");
        assert!(!rounds.is_empty(), "{report}");
        for round in rounds {
            for server in ["before", "subject", "after"] {
                assert!(round[server]["messages"].as_u64() > Some(0), "{server}: {round}");
                assert!(round[server]["cpu_ns"].as_u64() > Some(0), "{server}: {round}");
            }
        }
        assert_eq!(report["idle"][0]["connections"], 20, "{report}");
    });
}
