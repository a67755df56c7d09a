//! `redis ADDRESS`: a few commands of Redis (RESP2), in memory.
//!
//! Clients pipeline: one received buffer holds many commands, and all its replies leave in one async send. The next recv is
//! issued when that send has completed, so a client that does not read its replies is not read from. The keys are
//! shared by the workers, in shards with a lock each. What a client may send is bounded; how many keys they all may set is
//! not, as in Redis without `maxmemory`.

#![forbid(unsafe_code)]

mod commands;
mod resp;
mod store;

use commands::Outcome;
use socket_iocp::{Context, Error, Farewell, Handler, Options, ReadBuffer, Sent};
use std::process::ExitCode;
use store::Store;

/// Bytes of replies after which they are sent, before further commands are run: a short command may have a long reply.
const ENOUGH_REPLIES: usize = 256 << 10;
/// Bytes of each of its buffers that an idle connection keeps.
const IDLE_CAPACITY: usize = 1 << 10;

#[derive(Default)]
struct Redis {
    store: Store,
}

#[derive(Default)]
struct Client {
    /// What has come in and has not been run yet.
    commands: Vec<u8>,
    /// What is to be sent next; empty while it is being sent.
    replies: Vec<u8>,
    /// No command is run any more.
    last: bool,
}

impl Client {
    /// Runs the commands that are here as a whole.
    fn run_commands(&mut self, store: &Store) {
        let mut done = 0;
        while !self.last && self.replies.len() < ENOUGH_REPLIES {
            match resp::parse(&self.commands[done..]) {
                Ok(None) => break,
                Ok(Some(command)) => {
                    done += command.length;
                    self.last = commands::run(store, &command.arguments, &mut self.replies) == Outcome::Quit;
                }
                Err(error) => {
                    // Nobody knows where the next command begins.
                    self.last = true;
                    resp::write_error(&mut self.replies, &format!("ERR Protocol error: {error}"));
                }
            }
        }
        self.commands.drain(..done);
    }
}

impl Redis {
    /// Sends the replies there are; else ends the connection, or waits for commands.
    ///
    /// An issue call is refused only if the socket is ending already, and its farewell on the way; or for want of memory,
    /// which resets this connection and no other.
    fn go_on(&self, context: &Context<'_, Redis>, client: &mut Client) {
        client.run_commands(&self.store);
        if !client.replies.is_empty() {
            if context.send(std::mem::take(&mut client.replies), ()).is_err() {
                let _ = context.abort();
            }
        } else if client.last {
            let _ = context.close();
        } else {
            if client.commands.is_empty() {
                // Not while a command comes in pieces: each of them would have it moved, up to a mebibyte for a byte.
                client.commands.shrink_to(IDLE_CAPACITY);
            }
            client.replies.shrink_to(IDLE_CAPACITY);
            let _ = context.recv();
        }
    }
}

impl Handler for Redis {
    type Listener = ();
    type Socket = Client;
    type Write = ();

    fn accept(&self, context: &Context<'_, Redis>, (): &()) -> Option<Client> {
        context.recv().ok()?;
        Some(Client::default())
    }

    fn recv(&self, context: &Context<'_, Redis>, client: &mut Client, received: Result<ReadBuffer, Error>) {
        match received {
            Ok(buffer) if !buffer.is_empty() => client.commands.extend_from_slice(&buffer),
            _ => client.last = true,
        }
        self.go_on(context, client);
    }

    fn send(&self, context: &Context<'_, Redis>, client: &mut Client, sent: Sent<()>) {
        if sent.result.is_ok() {
            client.replies = sent.buffer.into_vec().unwrap_or_default();
            client.replies.clear();
            self.go_on(context, client);
        }
    }

    fn error(&self, _: &Context<'_, Redis>, _: Client, _: Farewell) {}
}

fn main() -> ExitCode {
    socket_iocp_examples::run("redis ADDRESS", |[address]| {
        socket_iocp_examples::serve(Redis::default(), Options::new(16 << 10), &address)
    })
}
