//! The kernel's threads that take submissions: one a worker with `Options::sqpoll`, gone with the port; none for others.

#![cfg(target_os = "linux")]

use socket_iocp::{BackendKind, Port};
use socket_iocp_testkit::{BOUND, Lab, Probe, in_own_process, on_every_backend};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

on_every_backend!(each_worker_has_one);

/// How many such threads the process has.
fn kernel_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("iou-sqp")).count()
}

fn wait_for_kernel_threads(count: usize) {
    let end = Instant::now() + BOUND;
    while kernel_threads() != count {
        assert!(Instant::now() < end, "{} threads, not {count}", kernel_threads());
        thread::yield_now();
    }
}

fn echo(lab: &Lab, port: &Port<Probe>) {
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(handle).expect("a first recv");
    for _ in 0..10 {
        client.write_all(b"hello").expect("a live connection");
        assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
    }
}

/// In a process of its own: other tests' ports have threads too.
fn each_worker_has_one(lab: &Lab) {
    in_own_process("each_worker_has_one", lab, |lab| {
        let io_uring = lab.kind() == BackendKind::IoUring;
        for (threads, idle_ms) in [(1, 1), (3, 10_000)] {
            let port = Port::new(Probe::echo(), lab.options().threads(threads).sqpoll(Duration::from_millis(idle_ms)));
            let port = port.expect("a port");
            wait_for_kernel_threads(if io_uring { threads } else { 0 });
            echo(lab, &port);
            port.delete();
            wait_for_kernel_threads(0);
        }
        let driven = Port::new(Probe::echo(), lab.options().threads(0).sqpoll(Duration::from_millis(1)));
        let without = Port::new(Probe::echo(), lab.options_with(4096).threads(2));
        echo(lab, without.as_ref().expect("a port"));
        assert!(driven.is_ok() && kernel_threads() == 0);
    });
}
