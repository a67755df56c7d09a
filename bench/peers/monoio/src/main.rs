//! The works of `bench/peers/README.md` on monoio: a runtime a thread, its io_uring driver and no other.
//!
//! Calls from other threads come in by a channel of flume's, whose wake-ups reach a runtime by monoio's feature `sync`.

mod fan_out;
mod streams;
mod wake;

use io_uring::IoUring;
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};
use peer_common::{Task, Work};
use std::future::Future;
use std::io;
use std::thread;
use std::time::Duration;

/// Submissions that are gathered before the kernel is told of them; more in a turn cost one call more.
const SUBMISSION_ENTRIES: u32 = 1024;
/// A completion for each of 10,000 connections, and more.
const COMPLETION_ENTRIES: u32 = 16_384;

fn main() -> io::Result<()> {
    peer_common::serve_by_threads(|task, listener, publisher| run(serve(task, listener, publisher)))
}

async fn serve(
    task: Task,
    listener: std::net::TcpListener,
    publisher: Option<std::net::TcpListener>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let size = task.read_buffer;
    match task.work {
        Work::Echo => accept_all(&listener, |stream| streams::echo(stream, size)).await,
        Work::Answer => accept_all(&listener, |stream| streams::answer(stream, size)).await,
        Work::AnswerBatched => accept_all(&listener, |stream| streams::answer_batched(stream, size)).await,
        Work::FanOut | Work::FanOutThread => fan_out::serve(&listener, publisher, size).await,
        Work::Sink => accept_all(&listener, |stream| streams::sink(stream, size)).await,
        Work::Source => {
            let piece = &*peer_common::source_piece(size).leak();
            accept_all(&listener, |stream| streams::source(stream, piece)).await
        }
        Work::Wake => wake::serve(&listener).await,
    }
}

/// Runs a future on a runtime made for this thread.
fn run(future: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let mut ring = IoUring::builder();
    // Not deferred: a turn that other threads have woken only submits, and would find no completions.
    ring.setup_cqsize(COMPLETION_ENTRIES).setup_single_issuer().setup_coop_taskrun();
    let mut runtime =
        RuntimeBuilder::<IoUringDriver>::new().with_entries(SUBMISSION_ENTRIES).uring_builder(ring).build()?;
    runtime.block_on(future)
}

/// Serves every connection by a task of its own. An error of one is its end and nothing else.
async fn accept_all<Served>(listener: &TcpListener, serve: impl Fn(TcpStream) -> Served) -> !
where
    Served: Future<Output = io::Result<()>> + 'static,
{
    loop {
        let stream = accept(listener).await;
        monoio::spawn(serve(stream));
    }
}

/// The next connection that can be served.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if stream.set_nodelay(true).is_ok() => return stream,
            Ok(_) => {}
            // A shortage of descriptors: it must not spin.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}
