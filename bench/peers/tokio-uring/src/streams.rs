//! The works in which connections have nothing to do with each other. A connection has one buffer, which goes round.

use peer_common::{REQUEST_BYTES, whole_records};
use std::io;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::TcpStream;

pub async fn echo(stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(read_buffer);
    loop {
        let (read, filled) = stream.read(buffer).await;
        if read? == 0 {
            return Ok(());
        }
        let (written, sent) = stream.write_all(filled).await;
        written?;
        buffer = sent;
        buffer.clear();
    }
}

pub async fn answer(stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(read_buffer.max(REQUEST_BYTES));
    while let Some(mut filled) = read_more(&stream, buffer).await? {
        let whole = whole_records(filled.len(), REQUEST_BYTES);
        for at in (0..whole).step_by(REQUEST_BYTES) {
            let (written, sent) = stream.write_all(filled.slice(at..at + REQUEST_BYTES)).await;
            written?;
            filled = sent.into_inner();
        }
        filled.drain(..whole);
        buffer = filled;
    }
    Ok(())
}

pub async fn answer_batched(stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(read_buffer.max(REQUEST_BYTES));
    while let Some(filled) = read_more(&stream, buffer).await? {
        let whole = whole_records(filled.len(), REQUEST_BYTES);
        let (written, sent) = stream.write_all(filled.slice(..whole)).await;
        written?;
        buffer = sent.into_inner();
        buffer.drain(..whole);
    }
    Ok(())
}

pub async fn sink(stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(read_buffer);
    let mut total = 0u64;
    loop {
        let (read, filled) = stream.read(buffer).await;
        match read? {
            0 => break,
            read => total += read as u64,
        }
        buffer = filled;
        buffer.clear();
    }
    stream.write_all(total.to_le_bytes().to_vec()).await.0?;
    Ok(())
}

pub async fn source(stream: TcpStream, piece: &'static [u8]) -> io::Result<()> {
    loop {
        stream.write_all(piece).await.0?;
    }
}

/// Reads behind what the buffer has, which is less than it can have; None at the peer's FIN.
pub async fn read_more(stream: &TcpStream, buffer: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let begin = buffer.len();
    let (read, filled) = stream.read(buffer.slice(begin..)).await;
    Ok((read? > 0).then(|| filled.into_inner()))
}
