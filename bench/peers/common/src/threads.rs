//! Threads of a peer: those that serve, each with a listener of its own, and the one of `wake`, which does not.

use crate::{Task, WAKE_BYTES, Work, end_with_stdin, listen, listen_on, task, tell};
use std::io;
use std::net::TcpListener;
use std::process::exit;
use std::sync::mpsc::Receiver;
use std::thread;

/// The whole of a peer that knows every work and whose threads have nothing to do with each other, as libraries with a
/// runtime a thread recommend it. `serve` is called on each thread with a listener of its own, and for `fan-out-thread`
/// with that of the publisher as well. Does not return while a thread serves; a thread that cannot ends the process.
pub fn serve_by_threads(
    serve: impl Fn(Task, TcpListener, Option<TcpListener>) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let task = task(&Work::ALL, true);
    if task.threads > 1 && matches!(task.work, Work::FanOut | Work::FanOutThread | Work::Wake) {
        eprintln!("this peer has one thread for this work");
        exit(3);
    }
    end_with_stdin();
    let mut listeners = listeners(task.threads)?;
    let publisher = (task.work == Work::FanOutThread).then(listen).transpose()?;
    let addresses: io::Result<Vec<_>> =
        listeners.iter().take(1).chain(&publisher).map(TcpListener::local_addr).collect();
    tell(&addresses?)?;

    let serve = |listener, publisher| {
        if let Err(error) = serve(task, listener, publisher) {
            eprintln!("this thread cannot serve: {error}");
            exit(1);
        }
    };
    let first = listeners.swap_remove(0);
    thread::scope(|scope| {
        for listener in listeners {
            scope.spawn(|| serve(listener, None));
        }
        serve(first, publisher);
    });
    Ok(())
}

/// So many listeners on one free port of 127.0.0.1, blocking; the kernel spreads the connections over them.
fn listeners(count: usize) -> io::Result<Vec<TcpListener>> {
    let shared = count > 1;
    let first = listen_on(0, shared)?;
    let port = first.local_addr()?.port();
    let others = (1..count).map(|_| listen_on(port, shared));
    std::iter::once(Ok(first)).chain(others).collect()
}

/// What the thread of `wake` does for one connection: sends, waits until the answer has been read, sends the next. `send`
/// says whether the connection is still there; so does the channel of the answers, which ends with the connection.
pub fn keep_waking(mut send: impl FnMut([u8; WAKE_BYTES]) -> bool, answers: &Receiver<()>) {
    let message = std::array::from_fn(|at| at as u8);
    while send(message) && answers.recv().is_ok() {}
}
