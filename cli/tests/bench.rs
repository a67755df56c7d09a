//! `socket-iocp bench` prints a table for each work, saves and draws its figures, and measures the programs of a folder.
#![cfg(not(windows))]

mod common;

use common::{cannot_start, describe, json, on_each_backend, plain_tool, run};
use socket_iocp::BackendKind;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// Every kind of work.
const WORKS: [&str; 10] = [
    "echo:3:100",
    "echo:2:200000",
    "answer",
    "fan-out",
    "fan-out-thread",
    "bulk-in",
    "bulk-out",
    "connections",
    "wake",
    "idle:20",
];

fn bench(works: &[&str]) -> Command {
    let mut tool = plain_tool(&["bench", "--rounds", "1", "--duration", "0.05"]);
    works.iter().for_each(|work| {
        tool.args(["--work", work]);
    });
    tool
}

/// Calls `test` for every backend, or sees that the bench says why it cannot measure any: its load needs io_uring.
fn on_each_measurable_backend(test: impl Fn(&str)) {
    if BackendKind::IoUring.probe().is_ok() {
        return on_each_backend(test);
    }
    let line = cannot_start(bench(&["echo:1:1"]).args(["--no-peers", "--backend", "readiness"]));
    assert!(line.contains("an io_uring for the load"), "{line}");
}

/// A folder that is there as long as the test runs.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("socket-iocp-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain name").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_work_is_measured() {
    on_each_measurable_backend(|backend| {
        let output = run(bench(&WORKS).args(["--no-peers", "--json", "--backend", backend]));
        assert!(output.status.success(), "{}", describe(&output));
        let report = json(&output);
        let works = report["works"].as_array().expect("a list");
        assert_eq!(works.len(), WORKS.len());
        for work in works {
            let name = work["workload"].as_str().expect("a name");
            let of_us = |what: &str| work[what].as_array().expect("a list").clone();
            let ours = |one: &serde_json::Value| one["server"].as_str() == Some(&format!("socket-iocp ({backend})"));
            if name.starts_with("idle") {
                assert!(of_us("memory").iter().any(ours), "{work}");
                continue;
            }
            let samples = of_us("samples");
            let sample = samples.iter().find(|sample| ours(sample)).expect("a sample of ours");
            for figure in ["units", "elapsed_ns", "cpu_ns"] {
                assert!(sample[figure].as_u64() > Some(0), "{name}: {figure}: {sample}");
            }
        }
    });
}

#[test]
fn tables_and_plots_come_of_a_saved_run_too() {
    on_each_measurable_backend(|backend| {
        let folder = Folder::new(&format!("bench-{backend}"));
        let saved = folder.file("run.json");
        let output = run(bench(&["echo:2:64"]).args(["--no-peers", "--backend", backend, "--save", &saved]));
        assert!(output.status.success(), "{}", describe(&output));
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        let system = if backend == "readiness" { "epoll" } else { backend };
        for server in [format!("socket-iocp ({backend})"), format!("hand-written {system}")] {
            let row = format!("| {server} | ");
            assert!(table.lines().any(|line| line.starts_with(&row)), "{row}\n{table}");
        }
        let plots = folder.file("plots");
        let again = run(&mut plain_tool(&["bench", "--from", &saved, "--plots", &plots]));
        assert!(again.status.success(), "{}", describe(&again));
        assert_eq!(String::from_utf8_lossy(&again.stdout), table);
        assert!(fs::metadata(format!("{plots}/echo-2-64.svg")).is_ok_and(|plot| plot.len() > 1000));
    });
}

#[test]
fn system_calls_are_counted() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        return eprintln!("left out: there is no strace");
    }
    on_each_measurable_backend(|backend| {
        let server = format!("socket-iocp ({backend})");
        let arguments = ["--no-peers", "--system-calls", "--json", "--server", &server, "--backend", backend];
        let output = run(bench(&["echo:1:64"]).args(arguments));
        assert!(output.status.success(), "{}", describe(&output));
        let calls = &json(&output)["works"][0]["system_calls"][0];
        // One message at a time: none is taken along with another's.
        assert!(calls["each"].as_f64() > Some(0.9), "{calls}");
    });
}

#[test]
fn programs_of_a_folder_are_peers() {
    let folder = Folder::new("peers");
    let program = |name: &str, text: &str| {
        fs::write(folder.0.join(name), text).expect("a file");
        fs::set_permissions(folder.0.join(name), fs::Permissions::from_mode(0o755)).expect("a file of ours");
    };
    let run_with = || run(bench(&["echo:1:64"]).args(["--backend", "readiness", "--peers-in", &folder.file("")]));
    if BackendKind::IoUring.probe().is_err() {
        return;
    }
    program("mute", "#!/bin/sh\n[ \"$1\" = works ] && echo echo && exit\nexit 4\n");
    let output = run_with();
    assert_eq!(output.status.code(), Some(1), "{}", describe(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("mute"), "{}", describe(&output));
    program("mute", "#!/bin/sh\n[ \"$1\" = works ] && echo something-else\n");
    assert!(run_with().status.success());
}

#[test]
fn what_is_not_there_is_told() {
    for (arguments, word) in [
        (&["--peers-in", "/nonexistent"] as &[_], "/nonexistent"),
        (&["--no-peers", "--server", "nobody"], "nobody"),
        (&["--from", "/nonexistent.json"], "/nonexistent.json"),
    ] {
        let line = cannot_start(plain_tool(&["bench"]).args(arguments));
        assert!(line.contains(word), "{line}");
    }
}
