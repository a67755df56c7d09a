//! `wake`: a thread that serves no connections sends over one.

use crate::accept;
use crate::streams::read_more;
use peer_common::WAKE_BYTES;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_uring::net::{TcpListener, TcpStream};

pub async fn serve(listener: &TcpListener) -> ! {
    loop {
        let stream = accept(listener).await;
        let (sender, messages) = unbounded_channel();
        let (answered, answers) = channel();
        thread::spawn(move || peer_common::keep_waking(|message| sender.send(message).is_ok(), &answers));
        // However it ended, the client has gone.
        let _ = exchange(stream, messages, answered).await;
    }
}

/// Sends what comes from the thread, and tells it of each answer.
async fn exchange(
    stream: TcpStream,
    mut messages: UnboundedReceiver<[u8; WAKE_BYTES]>,
    answered: Sender<()>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(WAKE_BYTES);
    while let Some(message) = messages.recv().await {
        buffer.clear();
        buffer.extend_from_slice(&message);
        let (written, sent) = stream.write_all(buffer).await;
        written?;
        buffer = sent;
        buffer.clear();
        while buffer.len() < WAKE_BYTES {
            match read_more(&stream, buffer).await? {
                Some(filled) => buffer = filled,
                None => return Ok(()),
            }
        }
        if answered.send(()).is_err() {
            break;
        }
    }
    Ok(())
}
