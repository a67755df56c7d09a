//! `keepalive ADDRESS MILLISECONDS`: sends back whatever comes, and keeps no client that is gone without a word.
//!
//! A client that has said nothing for so many milliseconds is sent `ping`; one that says nothing for five times as long is
//! told `bye` and dropped, as is one that does not take what is sent back to it. The first is the socket's timer, the
//! others are time limits of its recv and its send: nothing here looks at a clock.

#![forbid(unsafe_code)]

use socket_iocp::{Context, Error, ErrorCode, Farewell, Handler, Options, ReadBuffer, Sent};
use std::process::ExitCode;
use std::time::Duration;

struct KeepAlive {
    quiet: Duration,
    patience: Duration,
}

struct Client {
    /// It has said something since the timer was issued.
    heard: bool,
}

/// What a send is.
enum Answer {
    Echo,
    Ping,
}

impl Handler for KeepAlive {
    type Listener = ();
    type Socket = Client;
    type Write = Answer;

    fn accept(&self, context: &Context<'_, KeepAlive>, (): &()) -> Option<Client> {
        context.recv_within(self.patience).ok()?;
        context.timer(self.quiet).ok()?;
        Some(Client { heard: true })
    }

    // An issue call here is refused only if the socket is ending already; its farewell is then on the way.
    fn recv(&self, context: &Context<'_, KeepAlive>, client: &mut Client, received: Result<ReadBuffer, Error>) {
        let _ = match received {
            Ok(buffer) if !buffer.is_empty() => {
                client.heard = true;
                context.sync_send_within(buffer, Answer::Echo, self.patience).map_err(|refused| refused.error)
            }
            Err(error) if error.code() == ErrorCode::TimedOut => {
                let _ = context.send(b"bye\n", Answer::Ping);
                context.close()
            }
            _ => context.close(),
        };
    }

    fn send(&self, context: &Context<'_, KeepAlive>, _: &mut Client, sent: Sent<Answer>) {
        drop(sent.buffer);
        let _ = match (sent.write, sent.result) {
            (Answer::Echo, Ok(())) => context.recv_within(self.patience),
            // A part of it has gone: there is nothing sensible left to say.
            (Answer::Echo, Err(_)) => context.abort(),
            (Answer::Ping, _) => Ok(()),
        };
    }

    fn timer(&self, context: &Context<'_, KeepAlive>, client: &mut Client, passed: Result<(), Error>) {
        if passed.is_ok() {
            if !std::mem::take(&mut client.heard) {
                let _ = context.send(b"ping\n", Answer::Ping);
            }
            let _ = context.timer(self.quiet);
        }
    }

    fn error(&self, _: &Context<'_, KeepAlive>, _: Client, _: Farewell) {}
}

fn main() -> ExitCode {
    socket_iocp_examples::run("keepalive ADDRESS MILLISECONDS", |[address, quiet_ms]| {
        let quiet_ms: u32 =
            quiet_ms.to_str().and_then(|text| text.parse().ok()).ok_or("not a number of milliseconds")?;
        let quiet = Duration::from_millis(quiet_ms.into());
        let handler = KeepAlive { quiet, patience: 5 * quiet };
        socket_iocp_examples::serve(handler, Options::new(4 << 10), &address)
    })
}
