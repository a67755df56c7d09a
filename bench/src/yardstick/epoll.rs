//! The yardstick of the readiness backend: an edge-triggered epoll loop.

use super::accept;
use crate::READ_BUFFER_SIZE;
use crate::child::Outcome;
use crate::error::{Doing, Error};
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::{TcpListener, TcpStream};

/// Echoes over this many connections until each has ended.
pub(crate) fn serve(listener: &TcpListener, connections: usize) -> Result<Outcome, Error> {
    let mut sockets: Vec<Option<TcpStream>> = accept(listener, connections)?.into_iter().map(Some).collect();
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).needed("epoll_create1")?;
    for (index, socket) in sockets.iter().flatten().enumerate() {
        socket.set_nonblocking(true).doing("making a socket non-blocking")?;
        let events = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&poll, socket, epoll::EventData::new_u64(index as u64), events).doing("epoll_ctl")?;
    }
    let mut buffer = vec![0; READ_BUFFER_SIZE];
    let mut events = Vec::with_capacity(connections);
    let mut outcome = Outcome::default();
    let mut live = connections;
    while live > 0 {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
            Err(Errno::INTR) => continue,
            waited => waited.doing("epoll_wait")?,
        };
        outcome.waits += 1;
        for event in &events {
            let place = &mut sockets[event.data.u64() as usize];
            // A FIN may be told twice, the second time after the end.
            let Some(socket) = place else { continue };
            if echo(socket, &mut buffer, &mut outcome.messages)? {
                *place = None;
                live -= 1;
            }
        }
    }
    Ok(outcome)
}

/// Echoes what is there; true if the peer has ended.
fn echo(socket: &TcpStream, buffer: &mut [u8], messages: &mut u64) -> Result<bool, Error> {
    loop {
        let len = match recv(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Ok(true),
            Ok((len, _)) => len,
            Err(Errno::AGAIN) => return Ok(false),
            Err(error) => return Err(error).doing("recv"),
        };
        let sent = send(socket, &buffer[..len], SendFlags::NOSIGNAL).doing("send")?;
        if sent < len {
            // One small message a connection is under way: its echo always fits.
            return Err(Error::failed("an echo did not fit the socket's buffer"));
        }
        *messages += 1;
        if len < buffer.len() {
            return Ok(false);
        }
    }
}
