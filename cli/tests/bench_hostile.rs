//! `socket-iocp bench --hostile` has a row for each attack, fails for memory above its bound and for nothing that a clock says.
#![cfg(not(windows))]

mod common;

use common::{cannot_start, describe, json, plain_tool, run};
use std::process::Command;

const SHORT: &str = "bench --hostile --json --backend readiness --rounds 1 --duration 0.05 --rate 2000 --share 100 \
    --silent 50 --peers 5";
const ATTACKS: [&str; 6] = ["silent", "one_byte", "never_reading", "half_closing", "resetting", "together"];

fn short() -> Command {
    plain_tool(&SHORT.split_whitespace().collect::<Vec<_>>())
}

#[test]
fn every_attack_is_measured_on_both_servers_and_memory_is_bounded() {
    if cfg!(not(target_os = "linux")) {
        let line = cannot_start(&mut short());
        assert!(line.contains("on Linux only"), "{line}");
        return;
    }
    let output = run(&mut short());
    assert!(output.status.success(), "{}", describe(&output));
    let report = json(&output);
    let found = report["comparisons"].as_array().expect("a list");
    assert_eq!(found.len(), 2 * ATTACKS.len(), "{report}");
    for (comparison, attack) in found.iter().zip(ATTACKS.iter().cycle()) {
        assert_eq!(comparison["attack"], *attack);
        for load in ["before", "under", "after"] {
            assert!(comparison[load]["messages"].as_u64() > Some(0), "{load}: {comparison}");
        }
        assert_eq!(comparison["events"].as_u64() > Some(0), *attack != "silent", "{comparison}");
        let (usage, limited) = (&comparison["usage"], comparison["limited"] == true);
        let bound = usage["bound_bytes"].as_u64();
        assert!(bound.is_some() || !limited, "{comparison}");
        assert!(bound.is_none_or(|bound| usage["resident_bytes"].as_u64() <= Some(bound)), "{comparison}");
    }
    let releases = report["releases"].as_array().expect("a list");
    let ended: Vec<_> = releases.iter().map(|release| release["timed_out"].as_u64()).collect();
    assert_eq!(ended, [Some(0), Some(55)], "{report}");
}

#[test]
fn its_options_are_for_it_alone() {
    assert!(cannot_start(&mut plain_tool(&["bench", "--silent", "5"])).contains("--hostile"));
    assert!(cannot_start(&mut plain_tool(&["bench", "--hostile", "--work", "answer"])).contains("--work"));
}
