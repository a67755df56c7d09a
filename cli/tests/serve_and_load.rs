//! `serve echo` carries `load`, and both count the same.

mod common;

use common::{Server, describe, json, on_each_backend, run, tool};
use serde_json::Value;

fn load(backend: &str, address: &str, more: &[&str]) -> Value {
    let output = run(tool(backend, &["load", address, "--json", "--quiet"]).args(more));
    assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
    assert!(output.stderr.is_empty(), "{}", describe(&output));
    json(&output)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn both_ends_count_the_same_messages() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "echo", &["--workers", "2"]);
        assert_eq!(server.workers, 2);
        let load = load(backend, &server.address, &["--messages", "10000", "--connections", "50", "--size", "100"]);
        assert_eq!(load["messages"], 10_000);
        assert_eq!(load["total_messages"], 10_000);
        assert_eq!(load["backend"], backend);
        assert_eq!(load["mode"], "closed");
        let statistics = server.stop();
        assert_eq!(statistics.get("received_bytes"), 1_000_000);
        assert_eq!(statistics.get("sent_bytes"), 1_000_000);
        assert_eq!((statistics.get("accepts"), statistics.get("farewells")), (50, 50));
        assert_eq!(statistics.get("panics"), 0);
    });
}

#[test]
fn a_run_by_time_counts_its_warm_up_apart() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "echo", &[]);
        let load = load(backend, &server.address, &["--duration", "0.3", "--warmup", "0.3", "--size", "64"]);
        let (measured, all) = (number(&load["messages"]), number(&load["total_messages"]));
        assert!(0 < measured && measured < all, "{load}");
        let latency = &load["latency_ns"];
        let steps = ["min", "p50", "p90", "p99", "p99_9", "max"].map(|name| number(&latency[name]));
        assert!(steps[0] > 0 && steps.is_sorted(), "{latency}");
        assert_eq!(server.stop().get("received_bytes"), all * 64);
    });
}

#[test]
fn an_open_loop_sends_what_its_schedule_says() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "echo", &[]);
        let arguments = ["--duration", "0.5", "--rate", "2000", "--connections", "10", "--threads", "2"];
        let load = load(backend, &server.address, &arguments);
        // Due at 0 ms, 0.5 ms … 499.5 ms.
        assert_eq!((number(&load["messages"]), &load["mode"]), (1000, &Value::from("open")));
        assert_eq!(load["threads"], 2);
        server.stop();
    });
}

#[test]
fn large_pipelined_messages_come_back_right() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "echo", &["--read-buffer", "4096"]);
        let shape =
            ["--size", "300000", "--pipeline", "4", "--connections", "5", "--threads", "3", "--messages", "102"];
        let load = load(backend, &server.address, &shape);
        assert_eq!(load["messages"], 102);
        assert_eq!(server.stop().get("received_bytes"), 102 * 300_000);
    });
}

#[test]
fn every_family_of_addresses_is_served() {
    on_each_backend(|backend| {
        let path = std::env::temp_dir().join(format!("socket-iocp-serve-{}-{backend}", std::process::id()));
        let addresses = ["[::1]:0".to_owned(), "localhost:0".to_owned(), format!("unix:{}", path.display())];
        // Unix sockets are not supported on Windows.
        for address in addresses.into_iter().take(if cfg!(unix) { 3 } else { 2 }) {
            let server = Server::start_on(backend, "echo", &address, &[]);
            let load = load(backend, &server.address, &["--messages", "300", "--connections", "30", "--size", "1"]);
            assert_eq!((&load["messages"], &load["address"]), (&Value::from(300), &Value::from(&*server.address)));
            server.stop();
        }
    });
}

#[test]
fn every_way_of_a_completion_port_serves() {
    on_each_backend(|backend| {
        for way in [
            &["--skip-on-success", "on"][..],
            &["--skip-on-success", "off"],
            &["--skip-on-success", "on", "--idle-reads"],
            &["--skip-on-success", "off", "--idle-reads"],
        ] {
            let server = Server::start(backend, "echo", way);
            let load = load(backend, &server.address, &["--messages", "500", "--connections", "20", "--size", "5000"]);
            assert_eq!(load["messages"], 500);
            assert_eq!(server.stop().get("sent_bytes"), 2_500_000, "{way:?}");
        }
    });
}

#[test]
fn two_thousand_connections_come_up() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "echo", &[]);
        let load = load(backend, &server.address, &["--messages", "4000", "--connections", "2000"]);
        assert_eq!((&load["connections"], &load["messages"]), (&Value::from(2000), &Value::from(4000)));
        assert_eq!(server.stop().get("accepts"), 2000);
    });
}

#[test]
fn the_text_report_tells_the_same() {
    on_each_backend(|backend| {
        let server = Server::start(backend, "echo", &[]);
        let output = run(&mut tool(backend, &["load", &server.address, "--messages", "1234", "--connections", "3"]));
        let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        for part in
            [&*server.address, "3 connections", "closed loop", backend, "1,234 in", "p99.9", "errors       none"]
        {
            assert!(text.contains(part), "'{part}' is missing in\n{text}");
        }
        server.stop();
    });
}
