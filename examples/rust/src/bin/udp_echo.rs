//! `udp_echo ADDRESS`: sends each datagram back to where it came from.
//!
//! Nothing is copied and nothing allocated: the read buffer itself is sent back, by the socket's sync send, and the next recv is
//! issued when that has gone. What comes meanwhile waits in the kernel. A datagram that was longer than a read buffer is no whole one,
//! and has no answer; one of no bytes is a datagram like any other.

#![forbid(unsafe_code)]

use socket_iocp::{Context, Datagram, Error, Farewell, Handler, Options, ReadBuffer, Sent};
use std::process::ExitCode;

struct Echo;

impl Handler for Echo {
    type Listener = ();
    type Socket = ();
    type Write = ();

    /// There is no listener.
    fn accept(&self, _: &Context<'_, Echo>, (): &()) -> Option<()> {
        None
    }

    /// A datagram socket has a callback of its own.
    fn recv(&self, _: &Context<'_, Echo>, (): &mut (), _: Result<ReadBuffer, Error>) {}

    // An issue call here is refused only if the socket is ending already; its farewell is then on the way.
    fn datagram(&self, context: &Context<'_, Echo>, (): &mut (), received: Result<Datagram, Error>) {
        match received {
            Ok(datagram) if !datagram.truncated => {
                let _ = context.sync_send_to(datagram.sender, datagram.buffer, ());
            }
            // An error is that of one recv.
            _ => drop(context.recv()),
        }
    }

    /// Whether it has gone or not: the next one.
    fn send(&self, context: &Context<'_, Echo>, (): &mut (), sent: Sent<()>) {
        // The buffer goes back to the port's pool before the next one is wanted.
        drop(sent.buffer);
        let _ = context.recv();
    }

    fn error(&self, _: &Context<'_, Echo>, (): (), _: Farewell) {}
}

fn main() -> ExitCode {
    socket_iocp_examples::run("udp_echo ADDRESS", |[address]| {
        socket_iocp_examples::serve_datagrams(Echo, Options::new(64 << 10), &address)
    })
}
