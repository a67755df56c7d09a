//! `wake`: a thread that serves no connections sends over one.

use crate::accept;
use compio::buf::BufResult;
use compio::io::{AsyncReadExt, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use peer_common::WAKE_BYTES;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread;

pub async fn serve(listener: &TcpListener) -> ! {
    loop {
        let stream = accept(listener).await;
        let (sender, messages) = flume::unbounded();
        let (answered, answers) = channel();
        thread::spawn(move || peer_common::keep_waking(|message| sender.send(message).is_ok(), &answers));
        // However it ended, the client has gone.
        let _ = exchange(stream, messages, answered).await;
    }
}

/// Sends what comes from the thread, and tells it of each answer.
async fn exchange(
    mut stream: TcpStream,
    messages: flume::Receiver<[u8; WAKE_BYTES]>,
    answered: Sender<()>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(WAKE_BYTES);
    while let Ok(message) = messages.recv_async().await {
        buffer.clear();
        buffer.extend_from_slice(&message);
        let BufResult(written, sent) = stream.write_all(buffer).await;
        written?;
        let BufResult(read, answer) = stream.read_exact(sent).await;
        read?;
        buffer = answer;
        if answered.send(()).is_err() {
            break;
        }
    }
    Ok(())
}
