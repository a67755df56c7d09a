//! Sends from files.

use super::expect::Call;
use super::issue::{call, length_of};
use super::perform::pick_socket;
use super::script::{Step, What};
use super::world::{Bytes, Limit, world};
use crate::c;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

/// A file in memory with these bytes, some before them, and some behind them if it goes on.
fn file_of(content: &[u8], before: usize, goes_on: bool) -> OwnedFd {
    const BESIDE: &[u8] = b"beside";
    let mut file = File::from(memfd_create("sent", MemfdFlags::CLOEXEC).expect("a file in memory"));
    let behind = if goes_on { BESIDE } else { &[] };
    for part in [&BESIDE[..before], content, behind] {
        file.write_all(part).expect("memory for it");
    }
    file.into()
}

pub(super) fn send(step: Step) {
    let Some((port, socket)) = pick_socket(step) else { return };
    let content = world(|world| world.some_bytes(length_of(step.amount))).to_vec();
    let no_file = step.port == Step::OWN_PORT - 1;
    // A file that ends within the range ends its socket.
    let short = step.port % 8 == 7 && !content.is_empty();
    let to_the_end = step.port % 4 == 2;
    let before = usize::from(step.port % 3);
    let there = if short { content.len() / 2 } else { content.len() };
    let file = file_of(&content[..there], before, !short && !to_the_end);
    let (number, length) = (if no_file { -1 } else { file.as_raw_fd() }, content.len());
    let asked = if to_the_end { c::TO_THE_END } else { length as u64 };
    let id = world(|world| {
        world.next_send += 1;
        world.next_send
    });
    let limit = (step.port % 5 == 4 && !short).then(|| Limit::of(step.port / 8));
    let send = Call { length, no_data: no_file, limit, ..Call::new(What::FileSend, (port, socket)) };
    let (offset, write) = (before as u64, ptr::without_provenance_mut(id));
    let code = call(&send, Some((id, Bytes::File(file), content)), || match limit {
        None => c::socket_iocp_issue_file_send(port, socket, number, offset, asked, write),
        Some(limit) => {
            c::socket_iocp_issue_file_send_with_timeout(port, socket, number, offset, asked, write, limit.ms)
        }
    });
    if code == 0 && short {
        world(|world| {
            let at = world.socket_of(socket);
            at.into_iter().for_each(|at| world.sockets[at].may_fail = true);
        });
    }
}
