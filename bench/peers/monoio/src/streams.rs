//! The works in which connections have nothing to do with each other. A connection has one buffer, which goes round.

use monoio::buf::{IoBuf, SliceMut};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;
use peer_common::{REQUEST_BYTES, whole_records};
use std::io;

pub async fn echo(mut stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(read_buffer);
    loop {
        let (read, filled) = stream.read(buffer).await;
        if read? == 0 {
            return Ok(());
        }
        let (written, sent) = stream.write_all(filled).await;
        written?;
        buffer = sent;
    }
}

pub async fn answer(mut stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(read_buffer.max(REQUEST_BYTES));
    while let Some(mut filled) = read_more(&mut stream, buffer).await? {
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

pub async fn answer_batched(mut stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(read_buffer.max(REQUEST_BYTES));
    while let Some(filled) = read_more(&mut stream, buffer).await? {
        let whole = whole_records(filled.len(), REQUEST_BYTES);
        let (written, sent) = stream.write_all(filled.slice(..whole)).await;
        written?;
        buffer = sent.into_inner();
        buffer.drain(..whole);
    }
    Ok(())
}

pub async fn sink(mut stream: TcpStream, read_buffer: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(read_buffer);
    let mut total = 0u64;
    loop {
        let (read, filled) = stream.read(buffer).await;
        match read? {
            0 => break,
            read => total += read as u64,
        }
        buffer = filled;
    }
    stream.write_all(Box::new(total.to_le_bytes())).await.0?;
    Ok(())
}

pub async fn source(mut stream: TcpStream, piece: &'static [u8]) -> io::Result<()> {
    loop {
        stream.write_all(piece).await.0?;
    }
}

/// Reads behind what the buffer has, which is less than it can have; None at the peer's FIN.
pub async fn read_more(stream: &mut impl AsyncReadRent, buffer: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let (begin, end) = (buffer.len(), buffer.capacity());
    let (read, filled) = stream.read(SliceMut::new(buffer, begin, end)).await;
    Ok((read? > 0).then(|| filled.into_inner()))
}
