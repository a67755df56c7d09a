//! The works in which a connection has nothing to do with the others.

use peer_common::{Intake, REQUEST_BYTES};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub async fn echo(mut stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut buffer = vec![0; read_buffer];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

pub async fn answer(mut stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut intake = Intake::new(read_buffer, REQUEST_BYTES);
    loop {
        let count = stream.read(intake.space()).await?;
        if count == 0 {
            return Ok(());
        }
        intake.received(count);
        let requests = intake.whole();
        for request in requests.chunks_exact(REQUEST_BYTES) {
            stream.write_all(request).await?;
        }
        intake.done(requests.len());
    }
}

/// The answers lie one behind the other where they were read, so that one write takes them without a copy.
pub async fn answer_batched(mut stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut intake = Intake::new(read_buffer, REQUEST_BYTES);
    loop {
        let count = stream.read(intake.space()).await?;
        if count == 0 {
            return Ok(());
        }
        intake.received(count);
        let requests = intake.whole();
        stream.write_all(requests).await?;
        intake.done(requests.len());
    }
}

pub async fn sink(mut stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut buffer = vec![0; read_buffer];
    let mut total = 0_u64;
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return stream.write_all(&total.to_le_bytes()).await;
        }
        total += count as u64;
    }
}

pub async fn source(mut stream: TcpStream, piece: Arc<[u8]>) -> io::Result<()> {
    loop {
        stream.write_all(&piece).await?;
    }
}
