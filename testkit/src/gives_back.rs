//! A handler that gives what its sends come back with to the test.

use socket_iocp::{Context, Error, Farewell, Handler, ReadBuffer, SendBuffer, Sent};
use std::sync::mpsc::{self, Receiver, Sender};

/// A send's buffer, and what has become of the send.
pub type GivenBack = (SendBuffer, Result<(), Error>);

/// It has no states, and does nothing else.
#[derive(Debug)]
pub struct GivesBack(Sender<GivenBack>);

impl GivesBack {
    /// The handler, and where its sends come out.
    pub fn new() -> (GivesBack, Receiver<GivenBack>) {
        let (sender, given_back) = mpsc::channel();
        (GivesBack(sender), given_back)
    }
}

impl Handler for GivesBack {
    type Listener = ();
    type Socket = ();
    type Write = ();

    fn accept(&self, _: &Context<'_, Self>, _: &()) -> Option<()> {
        None
    }

    fn recv(&self, _: &Context<'_, Self>, _: &mut (), _: Result<ReadBuffer, Error>) {}

    fn send(&self, _: &Context<'_, Self>, _: &mut (), sent: Sent<()>) {
        // The test may be over.
        let _ = self.0.send((sent.buffer, sent.result));
    }

    fn error(&self, _: &Context<'_, Self>, _: (), _: Farewell) {}
}
