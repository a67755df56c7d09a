//! `file ADDRESS FILE`: sends a file to whoever connects, and closes the connection. (Read it by `nc`, or by `curl --http0.9`.)
//!
//! The file is opened once and sent by all: its bytes go from it to the sockets as each has room for them, and are never in
//! memory as a whole. A file that gets shorter meanwhile ends the connection by a reset, so that nobody takes a part for all.

#![forbid(unsafe_code)]

use socket_iocp::{Context, Error, Farewell, Handler, Options, ReadBuffer, Sent};
use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long a client may read nothing.
const PATIENCE: Duration = Duration::from_secs(60);

struct SendsFile {
    file: Arc<File>,
}

impl Handler for SendsFile {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, context: &Context<'_, SendsFile>, (): &()) -> Option<()> {
        context.send_file(self.file.clone(), .., ()).ok()
    }

    fn recv(&self, _: &Context<'_, SendsFile>, (): &mut (), _: Result<ReadBuffer, Error>) {}

    /// If not all of it has gone, the farewell comes next.
    fn send(&self, context: &Context<'_, SendsFile>, (): &mut (), sent: Sent<()>) {
        if sent.result.is_ok() {
            let _ = context.close();
        }
    }

    fn error(&self, context: &Context<'_, SendsFile>, (): (), farewell: Farewell) {
        if let Err(error) = farewell.reason {
            eprintln!("{:?}: {error}", context.remote_addr());
        }
    }
}

fn main() -> ExitCode {
    socket_iocp_examples::run("file ADDRESS FILE", |[address, path]| {
        let file = File::open(&path).map_err(|error| format!("cannot send {}: {error}", path.display()))?;
        let handler = SendsFile { file: Arc::new(file) };
        socket_iocp_examples::serve(handler, Options::new(4 << 10).idle_timeout(PATIENCE), &address)
    })
}
