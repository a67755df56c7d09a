//! The report, with figures that are made up.

use super::*;
use crate::hostile::{Limits, Strength};

fn cost(cpu_ns: u64) -> Cost {
    Cost { messages: 1000, elapsed_ns: 500_000_000, cpu_ns, waits: 100 }
}

const USAGE: Usage =
    Usage { sockets: 1100, allocated_bytes: 3 << 20, resident_bytes: 4 << 20, bound_bytes: Some(5 << 20) };

fn comparison(before: u64, under: u64, after: u64) -> Comparison {
    Comparison {
        backend: "io_uring".into(),
        limited: true,
        attack: Attack::OneByte,
        before: cost(before),
        under: cost(under),
        after: cost(after),
        events: 100,
        refused: 10,
        usage: USAGE,
    }
}

fn report(comparisons: Vec<Comparison>) -> HostileReport {
    let machine = Machine {
        kernel: "Linux 6.1".into(),
        architecture: "x86_64".into(),
        cpu: "Some CPU".into(),
        cpus_allowed: 2,
        server_cpu: 1,
        load_cpu: 0,
    };
    let strength = Strength { silent: 1000, peers: 10, messages_per_second: 2000.0, connections_per_second: 200.0 };
    let idle_timeout = Some(Duration::from_secs(60));
    let options = HostileOptions {
        rounds: comparisons.len(),
        window: Duration::from_millis(500),
        connections: 100,
        message_bytes: 64,
        messages_per_second: 20_000.0,
        strength,
        limits: Limits { idle_timeout, max_queued_sends: 4, max_queued_bytes: 16_384 },
        backends: vec!["io_uring".into()],
        attacks: vec![Attack::OneByte],
    };
    HostileReport { machine, options, comparisons, releases: Vec::new() }
}

#[test]
fn ratios_are_paired_by_rounds() {
    // The machine is twice as slow in the second round, and the third has an outlier.
    let report = report(vec![comparison(1000, 1100, 1000), comparison(1000, 3300, 5000), comparison(1000, 9000, 1000)]);
    let ratio = report.median_ratio("io_uring", true, Attack::OneByte).expect("rounds");
    assert!((ratio - 1.1).abs() < 1e-9, "{ratio}");
    assert_eq!(report.median_ratio("io_uring", false, Attack::OneByte), None);
    assert_eq!(report.comparisons[1].noise(), 5.0);
    // A tenth as many events as messages, and a tenth of their time.
    let event = report.comparisons[0].event_cost().expect("events");
    assert!((event - 1.0).abs() < 1e-9, "{event}");
}

#[test]
fn memory_above_its_bound_is_told() {
    let mut report = report(vec![comparison(1, 1, 1)]);
    assert!(report.over_bound().is_empty());
    for over in [Usage { allocated_bytes: (5 << 20) + 1, ..USAGE }, Usage { resident_bytes: (5 << 20) + 1, ..USAGE }] {
        report.comparisons[0].usage = over;
        assert_eq!(report.over_bound().len(), 1);
        assert!(report.to_string().contains("5.0 MiB, not kept |"), "{report}");
        report.comparisons[0].usage.bound_bytes = None;
        assert!(report.over_bound().is_empty());
    }
    report.releases.push(Release {
        backend: "io_uring".into(),
        idle_timeout: None,
        connections: 1,
        full: USAGE,
        after: USAGE,
        timed_out: 0,
        again: Some(Usage { bound_bytes: Some(1), ..USAGE }),
    });
    assert_eq!(report.over_bound().len(), 1);
}

#[test]
fn a_report_is_tables() {
    let mut report = report(vec![comparison(1_000_000, 1_300_000, 1_000_000)]);
    report.releases.push(Release {
        backend: "io_uring".into(),
        idle_timeout: Some(Duration::from_secs(3)),
        connections: 1000,
        full: USAGE,
        after: Usage { sockets: 100, allocated_bytes: 0, ..USAGE },
        timed_out: 1000,
        again: Some(USAGE),
    });
    let text = report.to_string();
    let lines = [
        "| io_uring | with limits | one byte at a time | 200 (10%) | 1.00 us | 1.300 (1.300 to 1.300), above the limit | 1.000 | 3.00 | 10.0 | 10.0 |",
        "| io_uring | with limits | one byte at a time | 1100 | 3.0 MiB | 4.0 MiB | 5.0 MiB |",
        "| io_uring | 3 s | 1000 | 1000 | 100 | 3.0 MiB | 0.0 MiB | 3.0 MiB | 4.0 MiB | 4.0 MiB | 4.0 MiB |",
    ];
    for line in lines {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    for table in text.split("\n\n").skip(1) {
        let columns: Vec<usize> = table.lines().map(|line| line.matches('|').count()).collect();
        assert!(columns.iter().all(|count| *count == columns[0]), "{table}");
    }
}

#[test]
fn a_report_survives_json() {
    let report = report(vec![comparison(1, 2, 3)]);
    let json = serde_json::to_string(&report).expect("a report is data");
    assert_eq!(serde_json::from_str::<HostileReport>(&json).expect("the same"), report);
}
