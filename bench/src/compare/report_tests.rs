//! The report, with figures that are made up.

use super::super::report::{Latency, Memory, Sample, SystemCalls};
use super::super::{Options, draw};
use super::*;
use crate::machine::Machine;

const OURS: &str = "socket-iocp (io_uring)";
const YARDSTICK: &str = "hand-written io_uring";

fn sample(server: &str, round: usize, cpu_ns: u64) -> Sample {
    let latency = Some(Latency { p50_ns: 50_000, p99_ns: 99_000, p999_ns: 999_000 });
    Sample {
        server: server.into(),
        round,
        units: 1000,
        elapsed_ns: 500_000_000,
        cpu_ns,
        latency,
        completions_per_wait: Some(2.5),
    }
}

/// A round: the hand-written loop, us, a peer, the hand-written loop again.
fn round(round: usize, before: u64, ours: u64, peer: u64, after: u64) -> Vec<Sample> {
    vec![
        sample(YARDSTICK, round, before),
        sample(OURS, round, ours),
        sample("libuv", round, peer),
        sample(YARDSTICK, round, after),
    ]
}

fn work(workload: Workload, rounds: Vec<Vec<Sample>>) -> Work {
    let calls = SystemCalls { server: OURS.into(), each: 0.125, by_name: vec![("io_uring_enter".into(), 0.1)] };
    Work {
        workload,
        servers: [YARDSTICK, OURS, "libuv"].map(String::from).to_vec(),
        samples: rounds.concat(),
        memory: Vec::new(),
        system_calls: vec![calls],
    }
}

fn report(works: Vec<Work>) -> Report {
    let machine = Machine {
        kernel: "Linux 6.1".into(),
        architecture: "x86_64".into(),
        cpu: "Some CPU".into(),
        cpus_allowed: 2,
        server_cpu: 1,
        load_cpu: 0,
    };
    Report { machine, options: Options::default(), works }
}

fn idle(bytes: f64) -> Work {
    let memory = vec![Memory { server: OURS.into(), private_dirty_each: bytes, resident_each: bytes }];
    let workload = Workload::Idle { connections: 5000 };
    Work { memory, samples: Vec::new(), system_calls: Vec::new(), ..work(workload, Vec::new()) }
}

#[test]
fn ratios_are_paired_by_rounds() {
    // The machine is twice as slow in the second round, and the third has an outlier.
    let rounds =
        vec![round(1, 900, 1100, 2200, 1100), round(2, 2000, 2200, 4400, 2000), round(3, 1000, 9000, 18_000, 1000)];
    let work = work(echo(100, 64), rounds);
    let ratio = work.ratio(OURS, &work, YARDSTICK).expect("rounds");
    assert!((ratio.median - 1.1).abs() < 1e-9, "{ratio}");
    let ratio = work.ratio(OURS, &work, "libuv").expect("rounds");
    assert!((ratio.median - 0.5).abs() < 1e-9 && ratio.high - ratio.low < 1e-9, "{ratio}");
    assert!(work.ratio(OURS, &work, "nobody").is_none());
    let noise = work.noise(YARDSTICK).expect("two a round");
    assert_eq!((noise.median, noise.high), (1.0, 1100.0 / 900.0));
    assert!(work.noise(OURS).is_none());
}

#[test]
fn a_limit_is_missed_where_the_whole_interval_is_above_it() {
    let verdict = |ours: [u64; 2]| {
        let rounds = (1..).zip(ours).map(|(number, ours)| round(number, 1000, ours, 5000, 1000)).collect();
        let report = report(vec![work(echo(100, 64), rounds)]);
        let verdicts = verdicts(&report);
        verdicts.into_iter().find(|verdict| verdict.aim.ends_with(YARDSTICK)).expect("both are there")
    };
    assert!(!verdict([1000, 1010]).is_missed());
    assert!(!verdict([1000, 1900]).is_missed());
    assert!(verdict([1031, 1900]).is_missed());
}

#[test]
fn growth_is_judged_by_the_yardsticks_own() {
    let growth = |yardstick: u64, ours: u64| {
        let hundred = work(echo(100, 64), vec![round(1, 1000, 1000, 1000, 1000)]);
        let thousand = work(echo(1000, 64), vec![round(1, yardstick, ours, 1000, yardstick)]);
        let verdicts = verdicts(&report(vec![hundred, thousand]));
        verdicts.into_iter().find(|verdict| verdict.aim.ends_with("1000 connections to 100")).expect("both are there")
    };
    assert!(growth(1000, 1201).is_missed());
    assert!(!growth(1300, 1290).is_missed());
    assert!(growth(1300, 1310).is_missed());
}

#[test]
fn pipelined_requests_are_compared_with_the_best_peer_that_gathers() {
    let answer = work(Workload::Answer, vec![round(1, 1, 250, 5000, 1)]);
    let batched = work(Workload::AnswerBatched, vec![round(1, 1, 200, 200, 1)]);
    let verdicts = verdicts(&report(vec![answer, batched]));
    let figures: Vec<(f64, f64)> = verdicts.iter().map(|verdict| (verdict.limit, verdict.figure())).collect();
    assert_eq!(figures, [(0.1, 0.05), (1.3, 1.25)]);
}

#[test]
fn memory_has_a_limit() {
    for (bytes, missed) in [(320.0, false), (321.0, true)] {
        let verdicts = verdicts(&report(vec![idle(bytes)]));
        assert_eq!(verdicts.iter().map(Verdict::is_missed).collect::<Vec<_>>(), [missed]);
    }
}

#[test]
fn a_report_is_tables() {
    let echo = work(echo(100, 64), vec![round(1, 1_000_000, 1_100_000, 2_200_000, 1_000_000)]);
    let text = report(vec![echo, idle(300.4)]).to_string();
    assert!(text.starts_with("Linux 6.1, x86_64, Some CPU, CPUs to use: 2.\n"), "{text}");
    for row in [
        "| hand-written io_uring | 1.000 us | 2000 | 50 us | 99 us | 999 us | 2.5 |  | 1.100 (1.100 to 1.100) |",
        "| socket-iocp (io_uring) | 1.100 us | 2000 | 50 us | 99 us | 999 us | 2.5 | 0.125 |  |",
        "| libuv | 2.200 us | 2000 | 50 us | 99 us | 999 us | 2.5 |  | 0.500 (0.500 to 0.500) |",
        "| socket-iocp (io_uring) | 300 B | 300 B |",
        "| 5000 idle connections: bytes a connection, socket-iocp (io_uring) | 320 | 300.4 | reached |",
    ] {
        assert!(text.lines().any(|line| line == row), "{row}\n{text}");
    }
    // Every line of a table has the columns of the line above it.
    let columns: Vec<usize> = text.lines().map(|line| line.matches('|').count()).collect();
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1] || pair.contains(&0)), "{text}");
}

#[test]
fn a_report_survives_json() {
    let report = report(vec![work(echo(100, 64), vec![round(1, 1, 2, 3, 4)]), idle(300.0)]);
    let json = serde_json::to_string(&report).expect("a report is data");
    assert_eq!(serde_json::from_str::<Report>(&json).expect("the same"), report);
}

#[test]
fn a_report_is_drawn() {
    let rounds = || vec![round(1, 1_000_000, 1_100_000, 2_200_000, 1_000_000)];
    let report = report(vec![work(echo(100, 64), rounds()), work(echo(1000, 64), rounds()), idle(300.0)]);
    let folder = std::env::temp_dir().join(format!("socket-iocp-plots-{}", std::process::id()));
    draw(&report, &folder).expect("a folder to write to");
    for (file, word) in [
        ("echo-100-64.svg", "libuv"),
        ("echo-1000-64.svg", "2.200"),
        ("idle-5000.svg", "300"),
        ("growth-connections.svg", "connections"),
    ] {
        let text = std::fs::read_to_string(folder.join(file)).expect(file);
        assert!(text.starts_with("<svg") && text.contains(word), "{file}: {text}");
    }
    assert!(!folder.join("growth-bytes.svg").exists(), "there is one size only");
    std::fs::remove_dir_all(folder).expect("it was made here");
}
