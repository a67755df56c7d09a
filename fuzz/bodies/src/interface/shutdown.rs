//! The graceful end of a port.

use super::perform::{check_deleted, judge};
use super::script::Step;
use super::world::{note, world};
use crate::c::{self, Handle};
use std::ptr;

/// Outside of callbacks the call waits so long at most: nobody else is there to end the connections.
const DEADLINES_MS: [u32; 3] = [0, 1, 2];
const LONG_MS: u32 = 3_600_000;

/// Shuts a port down: to its end, or, inside a callback, so that it is run on.
pub(super) fn shut_down(step: Step, port: Handle) {
    let known = world(|world| world.port_of(port));
    let inside = world(|world| !world.callbacks.is_empty());
    let choice = usize::from(step.amount % 4);
    let deadline_ms = DEADLINES_MS.get(choice).copied().unwrap_or(if inside { LONG_MS } else { 0 });
    let wrong_size = step.amount % 32 >= 28;
    let is_told = wrong_size || step.amount % 8 < 4;
    let mut told =
        c::ShutDown { size: if wrong_size { 1 } else { size_of::<c::ShutDown>() }, ..c::ShutDown::default() };

    let mut expected = world(|world| world.wrong_port(port));
    expected.extend(wrong_size.then_some(c::INVALID_ARGUMENT));
    // It may have come to its end in a run.
    expected.extend(world(|world| world.is_shut_down(port)).then_some(c::CLOSED));
    if expected.is_empty() || !wrong_size && world(|world| world.is_shut_down(port)) {
        expected.push(0);
    }
    world(|world| {
        let Some(at) = known.filter(|_| !wrong_size) else { return };
        let farewells = world.ports[at].farewells;
        world.ports[at].shut_down.get_or_insert(farewells);
        if !inside {
            world.running.push(at);
        }
    });
    let place = if is_told { &raw mut told } else { ptr::null_mut() };
    // SAFETY: it is NULL, or the struct has the size that it says, or says one at which nobody looks.
    let code = unsafe { c::socket_iocp_shutdown(port, deadline_ms, place) };
    judge("shutdown", code, &expected);
    if let Some(at) = known.filter(|_| !wrong_size && !inside) {
        world(|world| {
            world.running.pop();
            world.ports[at].deleted = true;
        });
        if code == 0 && is_told {
            check_told(at, told);
        }
        check_deleted();
    }
}

/// A shutdown has come to its end: everybody has bidden farewell since it began.
fn check_told(at: usize, told: c::ShutDown) {
    let farewells = world(|world| {
        let port = &world.ports[at];
        port.farewells - port.shut_down.unwrap_or(0)
    });
    if told.pending != 0 || told.finished + told.aborted != farewells {
        note(format!("a shutdown has come to {told:?}, with {farewells} farewells"));
    }
}
