//! A thread that has a message sent and waits for its answer.

use peer_common::{WAKE_BYTES, exchange};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The thread's two ways to a connection.
pub struct Line {
    messages: UnboundedSender<[u8; WAKE_BYTES]>,
    answers: Receiver<()>,
}

/// Starts the thread, which waits for connections.
pub fn start() -> Sender<Line> {
    let (sender, lines) = channel::<Line>();
    thread::spawn(move || {
        for line in lines {
            exchange(&line.answers, |message| line.messages.send(message).is_ok());
        }
    });
    sender
}

/// Never more than one message is under way, so that nothing need bound the channel.
pub async fn wake(mut stream: TcpStream, thread: Sender<Line>) -> io::Result<()> {
    let (message_sender, mut messages) = unbounded_channel();
    let (answer_sender, answers) = channel();
    // It fails when the thread has gone; then no message comes.
    let _ = thread.send(Line { messages: message_sender, answers });
    let mut answer = [0; WAKE_BYTES];
    while let Some(message) = messages.recv().await {
        stream.write_all(&message).await?;
        stream.read_exact(&mut answer).await?;
        if answer_sender.send(()).is_err() {
            break;
        }
    }
    Ok(())
}
