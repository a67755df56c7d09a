//! Faults inside the ring, and the smallest of rings: see `sys/io_uring/faults.rs`.

use crate::client::Ending;
use crate::program::Plan;
use crate::trial::{Fate, Report, Trial};
use crate::{CERTAIN, EVERY_ERROR, steps};
use socket_iocp::{BackendKind, faults};
use socket_iocp_testkit::say_left_out;

/// The kernel's smallest queues, and two buffers.
pub const SMALLEST: &str = "submissions:1 completions:1 buffers:2";

fn run(trial: &Trial, every: u64) -> Report {
    let report = trial.run(&trial.child());
    assert_eq!(report.faults.len(), trial.faults.split_whitespace().count(), "{}", trial.name);
    for (operation, operations, failed) in &report.faults {
        let none = *failed == 0 && every <= CERTAIN;
        assert!(!none, "{}: no {operation} of {operations} was failed", trial.name);
    }
    report.say(report.faults.iter().map(|(_, _, failed)| failed).sum());
    report
}

/// Fails every n-th of an operation with each error, for each n.
fn sweep(
    operation: &str,
    threads: &[usize],
    with: &str,
    fate: impl Fn(i32) -> Fate,
    arrange: impl Fn(&mut Trial),
    check: impl Fn(&Trial, i32, &Report),
) {
    if !faults::is_supported() {
        return say_left_out(operation, "the kernel has no IORING_NOP_INJECT_RESULT (Linux 6.10)");
    }
    for threads in threads {
        for (error, errno) in EVERY_ERROR {
            for every in steps() {
                let name = format!("{operation}: {error}, n = {every}{with}");
                let plan = Plan::new(BackendKind::IoUring, *threads);
                let mut trial = Trial::new(&name, plan, fate(errno));
                trial.faults = format!("{operation}:{error}:{every}{with}");
                arrange(&mut trial);
                let report = run(&trial, *every);
                check(&trial, errno, &report);
            }
        }
    }
}

fn harmless(_: i32) -> Fate {
    Fate::Harmless
}

/// Each fault ended one socket, or two of them one: a recv and a send of a socket may be under way at once.
fn ends_at_most_one_each(trial: &Trial, _: i32, report: &Report) {
    let failed = report.faults[0].2 as usize;
    let expected = if trial.fate == Fate::Harmless { 0..=0 } else { failed.div_ceil(2)..=failed };
    assert!(expected.contains(&report.ended), "{}: {} by {failed}", trial.name, report.ended);
}

#[test]
fn ring_recv() {
    // ENOBUFS says that there is no buffer, and the recv is tried again when there is.
    let fate = |errno| if errno == libc::ENOBUFS { Fate::Harmless } else { Fate::of_transfer(errno) };
    sweep("recv", &[2, 0], "", fate, |_| {}, ends_at_most_one_each);
}

#[test]
fn ring_send() {
    sweep("send", &[2, 0], "", Fate::of_transfer, |_| {}, ends_at_most_one_each);
}

#[test]
fn ring_sendmsg() {
    sweep("sendmsg", &[2, 0], "", Fate::of_transfer, |_| {}, ends_at_most_one_each);
}

/// Without a copy: one that the kernel refuses goes with a copy, and so does all that its socket sends from then on.
fn sweep_zero_copy(operation: &str) {
    let fate = |errno| match errno {
        libc::ENOMEM | libc::ENOBUFS => Fate::Harmless,
        errno => Fate::of_transfer(errno),
    };
    sweep(operation, &[2, 0], "", fate, |trial| trial.plan.zero_copy_from = 1, ends_at_most_one_each);
}

#[test]
fn ring_sendzc() {
    sweep_zero_copy("sendzc");
}

#[test]
fn ring_sendmsgzc() {
    sweep_zero_copy("sendmsgzc");
}

#[test]
fn ring_accept() {
    let check = |trial: &Trial, errno, report: &Report| {
        // After EAGAIN a poll goes first, and its end counts as well.
        let failed = report.faults[0].2;
        let told = if errno == libc::EAGAIN { failed..=2 * failed } else { failed..=failed };
        assert!(told.contains(&report.accept_errors), "{}: {}, {failed}", trial.name, report.accept_errors);
        let short = matches!(errno, libc::ENOMEM | libc::ENOBUFS | libc::EMFILE);
        assert_eq!(report.accept_backoffs != 0, short && failed != 0, "{}", trial.name);
    };
    sweep("accept", &[2, 0], "", harmless, |_| {}, check);
}

/// A poll goes in the place of an operation that was answered with EAGAIN.
#[test]
fn ring_poll() {
    sweep("poll", &[2, 0], " recv:EAGAIN:2 send:EAGAIN:2", Fate::of_transfer, |_| {}, |_, _, _| {});
}

/// The read of the wake-up counter.
#[test]
fn ring_wake() {
    sweep("wake", &[2, 0], "", harmless, |_| {}, |_, _, _| {});
}

#[test]
fn ring_cancel() {
    sweep("cancel", &[2, 0], "", harmless, |_| {}, |_, _, _| {});
}

/// The timer of a driven port, which is what ends these connections.
#[test]
fn ring_timeout() {
    let arrange = |trial: &mut Trial| {
        trial.plan.linger_ms = 200;
        trial.endings.fill(Ending::Linger);
    };
    sweep("timeout", &[0], "", harmless, arrange, |_, _, _| {});
}

/// The kernel's smallest queues and two buffers, with hundreds of connections at once: the completion queue overflows all
/// the time, every second submission finds the submission queue full, most recvs find no buffer.
#[test]
fn small_rings() {
    for threads in [2, 0] {
        for ring in [SMALLEST, "submissions:1 completions:1", "buffers:2", "submissions:8 completions:16384 buffers:1"]
        {
            let mut trial = Trial::new(ring, Plan::new(BackendKind::IoUring, threads), Fate::Harmless);
            trial.endings = trial.endings.iter().copied().cycle().take(300).collect();
            trial.ring = Some(ring);
            let report = run(&trial, 1);
            let overflows = ring.split(' ').any(|size| size == "completions:1");
            assert_eq!(overflows, report.overflows != Some(0), "{}: {report:?}", trial.name);
            assert!(!ring.contains("buffers:") || report.shortages != 0, "{}: {report:?}", trial.name);
        }
    }
}

/// And faults on top.
#[test]
fn small_rings_with_faults() {
    if !faults::is_supported() {
        return say_left_out("small_rings_with_faults", "the kernel has no IORING_NOP_INJECT_RESULT (Linux 6.10)");
    }
    for threads in [2, 0] {
        for every in steps() {
            let faults = ["recv:EINTR", "send:EAGAIN", "sendmsg:EINTR", "accept:EMFILE", "wake:EINTR", "cancel:EINTR"];
            let faults: Vec<String> = faults.iter().map(|fault| format!("{fault}:{every}")).collect();
            let plan = Plan::new(BackendKind::IoUring, threads);
            let mut trial = Trial::new(&format!("{SMALLEST}, faults with n = {every}"), plan, Fate::Harmless);
            (trial.ring, trial.faults) = (Some(SMALLEST), faults.join(" "));
            run(&trial, *every);
        }
    }
}
