//! Every planted bug is found by the model that is for it: so the models can fail. Each runs in a process of its own,
//! since loom does not survive a model that fails.

use crate::planted::{Bug, plant};
use std::process::{Command, Stdio};

/// Names the bug in such a process.
const PLANTED: &str = "SOCKET_IOCP_PLANTED";

/// Which model finds which bug.
const FOUND: &[(Bug, &str)] = &[
    (Bug::PushNotReleased, "no_wake_up_is_lost"),
    (Bug::WakersFenceForgotten, "no_wake_up_is_lost"),
    (Bug::SleepersFenceForgotten, "no_wake_up_is_lost"),
    (Bug::WakersFenceForgotten, "a_delete_leaves_no_message_behind"),
    (Bug::SleepersFenceForgotten, "a_delete_leaves_no_message_behind"),
    (Bug::TransitForgotten, "a_delete_leaves_no_message_behind"),
    (Bug::TransitForgotten, "a_slot_is_used_again_after_its_last_message"),
    (Bug::GenerationIgnored, "a_slot_is_used_again_after_its_last_message"),
    (Bug::GenerationIgnored, "a_promised_handle_reaches_its_own_socket"),
    (Bug::RecvTwice, "one_of_two_claims_is_granted"),
    (Bug::NewsOverwritten, "no_news_hides_other_news"),
];

/// Plants the bug that the process was started for, if any.
pub(super) fn plant_what_is_asked_for() {
    let Ok(name) = std::env::var(PLANTED) else { return };
    let (bug, _) = FOUND.iter().find(|(bug, _)| format!("{bug:?}") == name).expect("a bug of the table");
    plant(Some(*bug));
}

/// Whether a model passes in spite of a bug. That it passes without one is the model's own test.
fn passes(model: &str, bug: Bug) -> bool {
    let mut test = Command::new(std::env::current_exe().expect("this program"));
    test.args([&format!("handle::models::{model}"), "--exact"]).stdout(Stdio::null()).stderr(Stdio::null());
    // A larger bound is for the models alone.
    test.env_remove("LOOM_MAX_PREEMPTIONS");
    test.env(PLANTED, format!("{bug:?}"));
    test.status().expect("a process").success()
}

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::OF_SEVERAL_THREADS {
        assert!(FOUND.iter().any(|(found, _)| found == bug), "no model is for {bug:?}");
    }
    for (bug, model) in FOUND {
        assert!(!passes(model, *bug), "{model} does not find {bug:?}");
    }
}
