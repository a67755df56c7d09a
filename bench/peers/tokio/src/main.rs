//! The peer that serves with tokio.
//!
//! As its documentation has it: a task a connection, read and written by the methods of `AsyncReadExt` and `AsyncWriteExt`;
//! the runtime of one thread for one thread, that of several for more; channels between threads and tasks.

mod fan_out;
mod streams;
mod wake;

use peer_common::{ACCEPT_PAUSE, Task, Work, end_with_stdin, listen, source_piece, task, tell};
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::{spawn, time};

fn main() -> io::Result<()> {
    let task = task(&Work::ALL, true);
    let mut builder = if task.threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    let runtime = builder.worker_threads(task.threads).enable_all().build()?;
    end_with_stdin();
    // A task, since what is given to `block_on` runs on a thread beside the workers where there are several.
    runtime.block_on(async move { spawn(serve(task)).await })?
}

async fn serve(Task { work, read_buffer, .. }: Task) -> io::Result<()> {
    let listener = listen()?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    if work != Work::FanOutThread {
        tell(&[address])?;
    }
    match work {
        Work::Echo => accept(&listener, move |stream| streams::echo(stream, read_buffer)).await,
        Work::Answer => accept(&listener, move |stream| streams::answer(stream, read_buffer)).await,
        Work::AnswerBatched => accept(&listener, move |stream| streams::answer_batched(stream, read_buffer)).await,
        Work::Sink => accept(&listener, move |stream| streams::sink(stream, read_buffer)).await,
        Work::Source => {
            let piece: Arc<[u8]> = source_piece(read_buffer).into();
            accept(&listener, move |stream| streams::source(stream, piece.clone())).await
        }
        Work::FanOut => {
            let room = fan_out::Room::new();
            accept(&listener, move |stream| fan_out::member(stream, room.clone(), read_buffer)).await
        }
        Work::FanOutThread => {
            let publishers = listen()?;
            tell(&[address, publishers.local_addr()?])?;
            let room = fan_out::Room::new();
            fan_out::publish_from_thread(publishers, room.clone());
            accept(&listener, move |stream| fan_out::member(stream, room.clone(), read_buffer)).await
        }
        Work::Wake => {
            let thread = wake::start();
            accept(&listener, move |stream| wake::wake(stream, thread.clone())).await
        }
    }
}

/// Spawns a task for each connection, for ever.
async fn accept<F>(listener: &TcpListener, serve: impl Fn(TcpStream) -> F) -> !
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An error ends its connection and nothing else: the result of a task that nobody joins is dropped.
                if stream.set_nodelay(true).is_ok() {
                    spawn(serve(stream));
                }
            }
            Err(_) => time::sleep(ACCEPT_PAUSE).await,
        }
    }
}
