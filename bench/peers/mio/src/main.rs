//! The peer that serves with mio.
//!
//! One loop on one thread, edge-triggered as mio is: connections in a slab, their tokens its keys, both interests registered
//! once for a connection's life. Other threads reach the loop by a queue and a `Waker`.
//!
//! mio's documentation has an operation repeated until it would block. A read that did not fill its buffer has drained its
//! socket as well, so the read that would only say so is left out unless the event has told of a FIN; see epoll(7), and
//! `Event::is_read_closed`.

mod event_loop;
mod fan_out;
mod streams;
mod wake;

use event_loop::{Each, EventLoop};
use fan_out::FanOut;
use peer_common::{Intake, REQUEST_BYTES, Task, Work, end_with_stdin, listen, source_piece, task, tell};
use std::io;
use std::rc::Rc;
use streams::{Reply, Sink, Source};
use wake::Wake;

fn main() -> io::Result<()> {
    let Task { work, read_buffer, .. } = task(&Work::ALL, false);
    end_with_stdin();
    let event_loop = EventLoop::new()?;
    let address = event_loop.address()?;
    if work != Work::FanOutThread {
        tell(&[address])?;
    }
    let reply = |unit, together| move || Reply::new(Intake::new(read_buffer, unit), together);
    match work {
        Work::Echo => event_loop.run(Each(reply(1, true))),
        Work::Answer => event_loop.run(Each(reply(REQUEST_BYTES, false))),
        Work::AnswerBatched => event_loop.run(Each(reply(REQUEST_BYTES, true))),
        Work::Sink => event_loop.run(Each(|| Sink::new(read_buffer))),
        Work::Source => {
            let piece: Rc<[u8]> = source_piece(read_buffer).into();
            event_loop.run(Each(|| Source::new(piece.clone())))
        }
        Work::FanOut => event_loop.run(FanOut::new(read_buffer, None)),
        Work::FanOutThread => {
            let publishers = listen()?;
            tell(&[address, publishers.local_addr()?])?;
            let published = event_loop.queue()?;
            fan_out::publish_from_thread(publishers, published.clone());
            event_loop.run(FanOut::new(read_buffer, Some(published)))
        }
        Work::Wake => {
            let messages = event_loop.queue()?;
            event_loop.run(Wake::start(messages))
        }
    }
}
