//! The peer that serves with smol.
//!
//! A task a connection, on the executor of one thread, which is what smol has for that; sockets in `Async`, read and written by
//! the methods of `AsyncReadExt` and `AsyncWriteExt`; channels between threads and tasks.

mod fan_out;
mod streams;
mod wake;

use peer_common::{ACCEPT_PAUSE, Task, Work, end_with_stdin, listen, source_piece, task, tell};
use smol::{Async, LocalExecutor, Timer};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

type Executor = Rc<LocalExecutor<'static>>;

fn main() -> io::Result<()> {
    let task = task(&Work::ALL, false);
    end_with_stdin();
    let executor = Executor::default();
    smol::block_on(executor.run(serve(task, &executor)))
}

async fn serve(Task { work, read_buffer, .. }: Task, executor: &Executor) -> io::Result<()> {
    let listener = Async::new(listen()?)?;
    let address = listener.get_ref().local_addr()?;
    if work != Work::FanOutThread {
        tell(&[address])?;
    }
    match work {
        Work::Echo => accept(&listener, executor, |stream| streams::echo(stream, read_buffer)).await,
        Work::Answer => accept(&listener, executor, |stream| streams::answer(stream, read_buffer)).await,
        Work::AnswerBatched => accept(&listener, executor, |stream| streams::answer_batched(stream, read_buffer)).await,
        Work::Sink => accept(&listener, executor, |stream| streams::sink(stream, read_buffer)).await,
        Work::Source => {
            let piece: Rc<[u8]> = source_piece(read_buffer).into();
            accept(&listener, executor, |stream| streams::source(stream, piece.clone())).await
        }
        Work::FanOut => {
            let room = fan_out::Room::new(executor);
            accept(&listener, executor, |stream| fan_out::member(stream, room.clone(), read_buffer)).await
        }
        Work::FanOutThread => {
            let publishers = listen()?;
            tell(&[address, publishers.local_addr()?])?;
            let room = fan_out::Room::new(executor);
            fan_out::publish_from_thread(publishers, &room);
            accept(&listener, executor, |stream| fan_out::member(stream, room.clone(), read_buffer)).await
        }
        Work::Wake => {
            let thread = wake::start();
            accept(&listener, executor, |stream| wake::wake(stream, thread.clone())).await
        }
    }
}

/// Spawns a task for each connection, for ever.
async fn accept<F>(
    listener: &Async<TcpListener>,
    executor: &Executor,
    serve: impl Fn(Async<TcpStream>) -> F,
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An error ends its connection and nothing else: the result of a task that is detached is dropped.
                if stream.get_ref().set_nodelay(true).is_ok() {
                    executor.spawn(serve(stream)).detach();
                }
            }
            Err(_) => drop(Timer::after(ACCEPT_PAUSE).await),
        }
    }
}
