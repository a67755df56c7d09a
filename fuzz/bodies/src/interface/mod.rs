//! The C interface as a sequence of calls, on real sockets, with ports that the caller drives: so all of it happens on one
//! thread, in an order that the input says.

mod callbacks;
mod connecting;
mod expect;
mod files;
mod issue;
mod mail;
mod passing;
mod peers;
mod perform;
mod questions;
mod script;
mod shutdown;
mod ways;
mod world;

use mail::Mail;
use perform::{delete_port, perform, release_buffer, run_port};
use script::Script;
use std::fs;
use world::{Connect, Ending, Far, Send, Socket, World, note, world};

/// Rounds without a callback after which nothing is expected to move any more.
const QUIET_ROUNDS: usize = 4;
/// Rounds in which everything that can move has moved: a graceful close may discard a large input a few bytes at a time.
const MAX_ROUNDS: usize = 100_000;
/// Bytes that a peer receives at once.
const PIECE: usize = 64 << 10;

/// Does what the script says (`script.rs`), with every answer and every callback held against a model of the header's rules; then
/// waits until all is still, deletes the ports, and looks whether anything is left.
pub fn interface(input: &[u8]) {
    let before = open_descriptors();
    world(|world| {
        *world = World::default();
        world.script = Script::new(input);
    });
    while let Some(step) = world(|world| world.script.next().filter(|_| !world.is_broken())) {
        perform(step);
    }
    world(|world| world.in_callbacks = 0);
    come_to_rest();
    let ports: Vec<_> = world(|world| world.ports.iter().map(|port| port.handle).collect());
    ports.into_iter().for_each(delete_port);
    check_received();
    mail::check();
    while world(|world| !world.taken.is_empty()) {
        release_buffer(0);
    }
    if world(|world| world.shared) != 0 {
        note("shared buffers that were never released".into());
    }
    let broken = world(World::broken);
    world(|world| *world = World::default());
    assert!(broken.is_none(), "{}", broken.unwrap_or_default());
    let after = open_descriptors();
    assert_eq!(before, after, "descriptors before and after");
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("Linux has it").count()
}

/// The peers receive what there is, and the ports are run, until nothing moves and nothing is due.
fn come_to_rest() {
    let mut quiet = 0;
    for _ in 0..MAX_ROUNDS {
        let before = world(|world| world.called_back);
        let received = world(|world| {
            let all = world.sockets.iter_mut();
            all.map(|socket| peers::receive(socket, PIECE)).collect::<Result<Vec<usize>, _>>()
        });
        let moved = received.map(|counts| counts.iter().sum::<usize>() > 0).unwrap_or_else(|broken| {
            note(broken);
            false
        });
        let ports: Vec<_> = world(|world| {
            let live = world.ports.iter().filter(|port| !port.deleted);
            live.map(|port| port.handle).collect()
        });
        ports.into_iter().for_each(|port| run_port(port, 0));
        quiet = if moved || world(|world| world.called_back) != before { 0 } else { quiet + 1 };
        if quiet >= QUIET_ROUNDS && due().is_none() || world(|world| world.is_broken()) {
            return;
        }
    }
    note(format!("it never comes to rest: {:?}", due()));
}

/// What should have been reported by now, if there is such a thing.
fn due() -> Option<String> {
    world(|world| {
        let mut due = world.sockets.iter().filter(|socket| {
            let shut_down = world.ports[socket.port].shut_down.is_some();
            !socket.ended
                && if shut_down { !socket.sends.is_empty() && socket.connect.is_none() } else { is_due(socket) }
        });
        due.next().map(|socket| format!("{socket:?}"))
    })
}

/// Whether something should have been reported of a socket whose port goes on.
fn is_due(socket: &Socket) -> bool {
    // It may wait for ever, and what was issued on it waits with it, but for what has a time limit. When it is closed, the
    // connect has the linger limit instead of its own.
    let waits = socket.connect.as_ref().is_some_and(|connect| match socket.ending {
        None => !connect.is_due(),
        Some(_) => connect.to == Far::Full && connect.lingers,
    });
    let send_due = !socket.sends.is_empty() && !waits || socket.sends.iter().any(Send::must_end);
    match socket.ending {
        None => {
            let brings = !socket.from_peer.len() == 0 || socket.fin && !socket.eof;
            let brings = brings || socket.mail.as_ref().is_some_and(Mail::brings);
            socket.found_closed
                || socket.connect.as_ref().is_some_and(Connect::is_due)
                || socket.recv.as_ref().is_some_and(|recv| brings || recv.must_end())
                || socket.timer.as_ref().is_some_and(|timer| timer.cancelled || timer.delay.is_short())
                || send_due
        }
        // It waits for the peer's FIN, or for the connect if there is something to send.
        Some(Ending::Close) => socket.fin || send_due || socket.mail.is_some() || socket.connect.is_some() && !waits,
        Some(_) => true,
    }
}

/// Every port is gone: the peers find what was reported as sent, and nothing else.
fn check_received() {
    let wrong = world(|world| {
        for socket in &mut world.sockets {
            while peers::receive(socket, PIECE)? > 0 {}
            if socket.peer.is_some() && socket.sent_ahead != 0 {
                return Err(format!("what was reported as sent is not what has come: {socket:?}"));
            }
        }
        Ok(())
    });
    if let Err(broken) = wrong {
        note(broken);
    }
}
