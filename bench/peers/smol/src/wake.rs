//! A thread that has a message sent and waits for its answer.

use peer_common::{WAKE_BYTES, exchange};
use smol::Async;
use smol::channel;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use std::io;
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;

/// The thread's two ways to a connection.
pub struct Line {
    messages: channel::Sender<[u8; WAKE_BYTES]>,
    answers: mpsc::Receiver<()>,
}

/// Starts the thread, which waits for connections.
pub fn start() -> mpsc::Sender<Line> {
    let (sender, lines) = mpsc::channel::<Line>();
    thread::spawn(move || {
        for line in lines {
            exchange(&line.answers, |message| line.messages.send_blocking(message).is_ok());
        }
    });
    sender
}

pub async fn wake(mut stream: Async<TcpStream>, thread: mpsc::Sender<Line>) -> io::Result<()> {
    // Never more than one message is under way.
    let (message_sender, messages) = channel::bounded(1);
    let (answer_sender, answers) = mpsc::channel();
    // It fails when the thread has gone; then no message comes.
    let _ = thread.send(Line { messages: message_sender, answers });
    let mut answer = [0; WAKE_BYTES];
    while let Ok(message) = messages.recv().await {
        stream.write_all(&message).await?;
        stream.read_exact(&mut answer).await?;
        if answer_sender.send(()).is_err() {
            break;
        }
    }
    Ok(())
}
