//! `socket-iocp bench` of Windows prints a table of calls a message, and gives every count as JSON.
#![cfg(windows)]

mod common;

use common::{describe, json, plain_tool, run};

const SHORT: [&str; 5] = ["bench", "--rounds", "3", "--connections", "4"];

#[test]
fn the_table_has_a_row_for_each_server() {
    let output = run(&mut plain_tool(&SHORT));
    assert!(output.status.success(), "{}", describe(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    for connections in [1, 4] {
        for mode in ["on | plain", "off | plain", "on | idle", "off | idle"] {
            for server in ["yardstick", "socket-iocp"] {
                let row = format!("| {connections} | {mode} | {server} | ");
                assert!(text.lines().any(|line| line.starts_with(&row)), "{row}\n{text}");
            }
        }
    }
}

#[test]
fn every_count_is_in_the_json() {
    let output = run(plain_tool(&SHORT).arg("--json"));
    assert!(output.status.success(), "{}", describe(&output));
    let report = json(&output);
    let counted = report["counted"].as_array().expect("a list");
    assert_eq!(counted.len(), 16, "{report}");
    for calls in counted {
        let messages = calls["connections"].as_u64().expect("a number") * 3;
        assert_eq!((calls["messages"].as_u64(), calls["calls"]["WSASend"].as_u64()), (Some(messages), Some(messages)));
    }
}
