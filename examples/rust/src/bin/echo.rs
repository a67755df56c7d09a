//! `echo ADDRESS`: sends back whatever comes.
//!
//! Nothing is copied: the read buffer itself is sent back, and the next recv is issued when that send has completed. So a
//! connection has one buffer at a time, nothing is allocated for a message, and a client that does not read what comes
//! back is not read from either.

#![forbid(unsafe_code)]

use socket_iocp::{Context, Error, Farewell, Handler, Options, ReadBuffer, Sent};
use std::process::ExitCode;

struct Echo;

impl Handler for Echo {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, Echo>, (): &()) -> Option<()> {
        context.recv().ok()
    }

    // An issue call here is refused only if the socket is ending already; its farewell is then on the way.
    fn recv(&self, context: &Context<'_, Echo>, (): &mut (), received: Result<ReadBuffer, Error>) {
        let _ = match received {
            Ok(buffer) if !buffer.is_empty() => context.sync_send(buffer, ()).map_err(|refused| refused.error),
            _ => context.close(),
        };
    }

    fn send(&self, context: &Context<'_, Echo>, (): &mut (), sent: Sent<()>) {
        // The buffer goes back to the port's pool before the next one is wanted.
        drop(sent.buffer);
        if sent.result.is_ok() {
            let _ = context.recv();
        }
    }

    fn error(&self, _: &Context<'_, Echo>, (): (), _: Farewell) {}
}

fn main() -> ExitCode {
    socket_iocp_examples::run("echo ADDRESS", |[address]| {
        socket_iocp_examples::serve(Echo, Options::new(16 << 10), &address)
    })
}
