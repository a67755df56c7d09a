//! A client that talks to an echo server: it writes in pieces of any size, and reads at the same time.

use crate::Client;
use fastrand::Rng;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

/// What came of it.
#[derive(Debug)]
pub struct Talk {
    /// What it had to say.
    pub said: Vec<u8>,
    /// What it heard, up to the end.
    pub heard: Vec<u8>,
    /// Whether it could say it all. The error of a reset may come here or at the end: the system reports it once.
    pub spoken: io::Result<()>,
    /// How the end was: a FIN, or an error.
    pub end: io::Result<()>,
}

/// Says so many random bytes in random pieces, then FIN; hears all that comes.
pub fn talk(stream: TcpStream, len: usize, mut random: Rng) -> Talk {
    let said: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
    let mut mouth = Client::from(stream.try_clone().expect("a descriptor"));
    let mut ear = Client::from(stream);
    let (mut heard, said_by_mouth) = (Vec::new(), said.as_slice());
    let (spoken, end) = thread::scope(|scope| {
        let mouth = scope.spawn(move || say(&mut mouth, said_by_mouth, random));
        let end = hear(&mut ear, &mut heard);
        (mouth.join().expect("a client"), end)
    });
    Talk { said, heard, spoken, end }
}

fn say(mouth: &mut Client, mut rest: &[u8], mut random: Rng) -> io::Result<()> {
    while !rest.is_empty() {
        // Mostly small pieces, and some that fill the buffers on the way.
        let most = if random.u32(0..4) == 0 { 65_536 } else { 2048 };
        let (piece, others) = rest.split_at(random.usize(1..=most).min(rest.len()));
        mouth.write_all(piece)?;
        rest = others;
    }
    mouth.tcp().map_or(Ok(()), |stream| stream.shutdown(Shutdown::Write))
}

fn hear(ear: &mut Client, heard: &mut Vec<u8>) -> io::Result<()> {
    let mut part = [0; 16 * 1024];
    loop {
        match ear.read(&mut part)? {
            0 => return Ok(()),
            count => heard.extend_from_slice(&part[..count]),
        }
    }
}

/// What a crowd came to.
#[derive(Clone, Copy, Default, Debug)]
pub struct Crowd {
    /// Clients that heard exactly what they said.
    pub echoed: u64,
    /// Clients that reset their connection instead of listening.
    pub reset: u64,
}

/// So many clients at once, each with up to `longest` bytes. One in four resets its connection where others listen.
///
/// # Panics
/// When another hears anything but what it said.
pub fn crowd(address: SocketAddr, clients: usize, longest: usize, random: &mut Rng) -> Crowd {
    let mut crowd = Crowd::default();
    thread::scope(|scope| {
        for number in 0..clients {
            let (mut random, is_rude) = (random.fork(), number % 4 == 3);
            crowd.reset += u64::from(is_rude);
            crowd.echoed += u64::from(!is_rude);
            scope.spawn(move || {
                let stream = TcpStream::connect(address).expect("a listener");
                let len = random.usize(1..=longest);
                if is_rude {
                    let mut client = Client::from(stream);
                    // A part only, so that it cannot block: nobody reads the echo.
                    client.write_all(&vec![7; len.min(4096)]).expect("a live connection");
                    return client.reset();
                }
                let talk = talk(stream, len, random);
                assert!(talk.said == talk.heard, "heard {} of {len} bytes, {:?}", talk.heard.len(), talk.end);
                talk.end.expect("a clean end");
            });
        }
    });
    crowd
}
