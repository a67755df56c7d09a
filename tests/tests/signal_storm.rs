//! Ten thousand signals a second, to the process and to each of its threads, with a handler that lets system calls fail
//! (EINTR), and SIGPIPE at its default: nothing is lost, and no call of the library fails.

#![cfg(target_os = "linux")]

use fastrand::Rng;
use socket_iocp::{ErrorCode, Port, PortHandle};
use socket_iocp_testkit::{Lab, Ledger, crowd, in_own_process, on_every_backend, tries};
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

// Real only: no system call is made on the simulated network.
on_every_backend!(real: nothing_is_lost_in_a_storm_of_signals);

const SIGNALS_PER_SECOND: u64 = 10_000;
const SIGNAL: i32 = libc::SIGUSR1;

static HANDLED: AtomicU64 = AtomicU64::new(0);
static HANDLED_BY_DRIVER: AtomicU64 = AtomicU64::new(0);
/// The thread that drives a port.
static DRIVER: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(_: i32) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: a plain system call, which a handler may make.
    if DRIVER.load(Ordering::Relaxed) == unsafe { libc::gettid() } {
        HANDLED_BY_DRIVER.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the signals do in this process: SIGPIPE ends it, as in a C program; the other interrupts system calls.
fn install() {
    // SAFETY: an action of zeros has no flags, so no SA_RESTART, and an empty mask; `note` is safe in a handler.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = note as extern "C" fn(i32) as libc::sighandler_t;
        assert_eq!(libc::sigaction(SIGNAL, &action, std::ptr::null_mut()), 0);
    }
}

/// Ends the storm when it is dropped, by a panic too.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sends signals until it is told to stop: by turns to the process and to one of its threads. Returns how many.
fn storm(stop: &AtomicBool) -> u64 {
    // The others are to get them.
    // SAFETY: the set is initialised before it is read.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, SIGNAL);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
    let (start, mut sent) = (Instant::now(), 0);
    let mut threads: Vec<i32> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let due = start.elapsed().as_micros() as u64 * SIGNALS_PER_SECOND / 1_000_000;
        while sent < due {
            match threads.pop() {
                // SAFETY: plain system calls; a thread that has ended is not found, and no other process is meant.
                Some(thread) if sent % 2 == 1 => unsafe {
                    libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL);
                },
                // SAFETY: as above.
                _ => unsafe {
                    libc::kill(libc::getpid(), SIGNAL);
                },
            }
            if threads.is_empty() {
                threads = all_threads();
            }
            sent += 1;
        }
        // No wait for an event: the rate is what is made here.
        thread::sleep(Duration::from_micros(500));
    }
    sent
}

fn all_threads() -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs");
    tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn nothing_is_lost_in_a_storm_of_signals(lab: &Lab) {
    in_own_process("nothing_is_lost_in_a_storm_of_signals", lab, |lab| {
        install();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let storm = scope.spawn(|| storm(&stop));
            let end = End(&stop);
            let start = Instant::now();
            let seconds = Duration::from_secs(tries(1, 20));
            let (mut random, mut rounds, mut clients) = (Rng::with_seed(1), 0, 0);
            while start.elapsed() < seconds {
                clients += serve_a_crowd(lab, &mut random);
                rounds += 1;
            }
            drop(end);
            let (sent, elapsed) = (storm.join().expect("the storm"), start.elapsed());
            let (handled, by_driver) = (HANDLED.load(Ordering::SeqCst), HANDLED_BY_DRIVER.load(Ordering::SeqCst));
            println!(
                "{}: {sent} signals in {elapsed:?}, {handled} handled, {by_driver} by the thread that drives; {rounds} \
                 rounds, {clients} clients",
                lab.name()
            );
            assert!(handled > 0 && by_driver > 0, "{handled} handled, {by_driver} by the thread that drives");
            assert!(sent >= SIGNALS_PER_SECOND * elapsed.as_secs() * 9 / 10, "{sent} signals in {elapsed:?}");
        });
    });
}

/// A port with workers and one driven by a thread, from their beginning to their end; how many clients they served.
fn serve_a_crowd(lab: &Lab, random: &mut Rng) -> u64 {
    let make = |threads| Port::new(Ledger::with_room_for(64), lab.options().threads(threads)).expect("a port");
    let (port, driven) = (make(2), make(0));
    let addresses = [listen(lab, &port), listen(lab, &driven)];
    let driver = PortHandle::clone(&driven);
    let driver = thread::spawn(move || drive(&driver));
    let mut others = random.fork();
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| crowd(addresses[0], 12, 40_000, &mut others));
        (crowd(addresses[1], 12, 40_000, random), one.join().expect("clients"))
    });
    for (port, address) in [(port, addresses[0]), (driven, addresses[1])] {
        // It is served after all the others, which have been accepted by then, or left out by the system.
        crowd(address, 1, 10, random);
        Ledger::settle(port);
    }
    driver.join().expect("the thread that drives");
    one.echoed + one.reset + other.echoed + other.reset
}

fn listen(lab: &Lab, port: &Port<Ledger>) -> SocketAddr {
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, ()).expect("a listener");
    address
}

/// Drives a port until it is deleted.
fn drive(port: &PortHandle<Ledger>) {
    // SAFETY: a plain system call.
    DRIVER.store(unsafe { libc::gettid() }, Ordering::SeqCst);
    loop {
        match port.run(None) {
            Ok(()) => {}
            // Its deletion, which drives it to the end, has begun; or is over.
            Err(error) if matches!(error.code(), ErrorCode::Busy | ErrorCode::Closed) => return,
            Err(error) => panic!("a run: {error:?}"),
        }
    }
}
