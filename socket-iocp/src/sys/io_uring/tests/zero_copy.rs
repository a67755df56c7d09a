//! Sends without a copy: two answers, one completion.

use super::*;
use socket2::SockRef;
use std::io::Read;
use std::os::unix::net::UnixStream;

/// What the sender's system takes whole, and more than the reader's takes.
const LEN: usize = 200_000;

fn rig(from: u32) -> Rig {
    let mut rig = Rig::of(&Options::new(BUFFER_SIZE).threads(1).zero_copy_from(from));
    rig.backend.start().expect("the ring is enabled");
    rig
}

/// A connection on which it is so; reader and sender.
fn uneven_pair() -> (TcpStream, TcpStream) {
    let (reader, sender) = tcp_pair();
    // Else the kernel lets it grow as the reader reads.
    SockRef::from(&reader).set_recv_buffer_size(LEN / 8).expect("SO_RCVBUF");
    SockRef::from(&sender).set_send_buffer_size(LEN).expect("SO_SNDBUF");
    (reader, sender)
}

fn tag(key: Key) -> super::super::tag::Tag {
    super::super::tag::Tag::of_socket(super::super::tag::Kind::Send, key)
}

/// Waits until the result is there, and so only the notification missing.
fn wait_for_result(rig: &mut Rig, key: Key) -> i32 {
    let start = std::time::Instant::now();
    loop {
        if let Some(completion) = rig.poll() {
            panic!("nobody has read: {completion:?}");
        }
        if let Some(result) = rig.backend.zero_copy.result(tag(key)) {
            return result;
        }
        assert!(start.elapsed() < LONG, "no result came");
        rig.wait(Duration::from_millis(10));
    }
}

#[test]
fn a_send_ends_with_its_notification() {
    let mut rig = rig(1000);
    let (mut reader, sender) = uneven_pair();
    let bytes: Vec<u8> = (0..LEN).map(|at| (at % 251) as u8).collect();
    for slices in [vec![&bytes[..]], vec![&bytes[..LEN / 2], &bytes[LEN / 2..]]] {
        rig.send(key(1), &sender, &slices);
        assert_eq!(wait_for_result(&mut rig, key(1)), LEN as i32);
        assert_eq!(rig.backend.in_kernel(), 2, "the send, and the read of the wake-up");
        let mut arrived = vec![0; LEN];
        reader.read_exact(&mut arrived).expect("read");
        assert_eq!(rig.sent(key(1)), Ok(LEN));
        assert!(arrived == bytes);
        assert!(!rig.backend.zero_copy.is_under_way(tag(key(1))));
    }
    rig.assert_quiet();
}

#[test]
fn smaller_ones_and_other_sockets_are_sent_as_ever() {
    let mut rig = rig(1000);
    let (mut reader, sender) = tcp_pair();
    rig.send(key(1), &sender, &[&[1; 999]]);
    rig.send(key(2), &sender, &[&[1; 500], &[1; 499]]);
    assert!(!rig.backend.zero_copy.is_under_way(tag(key(1))) && !rig.backend.zero_copy.is_under_way(tag(key(2))));
    assert_eq!((rig.sent(key(1)), rig.sent(key(2))), (Ok(999), Ok(999)));
    reader.read_exact(&mut [0; 1998]).expect("read");

    let (mut reader, sender) = UnixStream::pair().expect("a pair");
    rig.send(key(3), &sender, &[&[1; 5000]]);
    assert!(!rig.backend.zero_copy.is_under_way(tag(key(3))));
    assert_eq!(rig.sent(key(3)), Ok(5000));
    reader.read_exact(&mut [0; 5000]).expect("read");
}

#[test]
fn one_that_waits_for_its_peer_is_abandoned() {
    let mut rig = rig(1);
    let (mut reader, sender) = uneven_pair();
    let bytes = vec![1; LEN];
    rig.send(key(1), &sender, &[&bytes]);
    wait_for_result(&mut rig, key(1));
    rig.cancel(key(1), &sender, Direction::Send);
    rig.assert_quiet();
    rig.backend.abandon_send(key(2), sender.as_raw_fd());
    rig.assert_quiet();
    rig.backend.abandon_send(key(1), sender.as_raw_fd());
    assert_eq!(rig.sent(key(1)), Ok(LEN));
    let error = reader.read_to_end(&mut Vec::new()).expect_err("a reset");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
}

#[test]
fn one_that_is_not_queued_yet_is_abandoned_too() {
    let mut rig = rig(1);
    let (mut reader, sender) = uneven_pair();
    let large = vec![1; 64 << 20];
    rig.send(key(1), &sender, &[&large]);
    rig.assert_quiet();
    rig.cancel(key(1), &sender, Direction::Send);
    rig.backend.abandon_send(key(1), sender.as_raw_fd());
    // A part had gone, or nothing had.
    assert!(rig.sent(key(1)).map_or(true, |sent| sent < large.len()));
    rig.assert_quiet();
    let error = reader.read_to_end(&mut Vec::new()).expect_err("a reset");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
}

#[test]
fn a_refused_one_is_sent_with_a_copy_from_then_on() {
    let mut rig = rig(1);
    let (mut reader, sender) = tcp_pair();
    let mut io = SocketIo::default();
    for errno in [libc::EOPNOTSUPP, libc::ENOMEM, libc::ENOBUFS] {
        let begin =
            |rig: &mut Rig, io: &mut SocketIo| rig.backend.zero_copy.begin(io, tag(key(1)), sender.as_raw_fd(), 5);
        assert!(begin(&mut rig, &mut io));
        assert_eq!(rig.backend.zero_copy.ended(tag(key(1)), -errno), None, "submitted again");
        assert!(!begin(&mut rig, &mut io), "with a copy");
        assert!(!begin(&mut rig, &mut io), "and so the next");
        io = SocketIo::default();
    }
    // Other errors are what they are, whether a notification followed or not.
    assert!(rig.backend.zero_copy.begin(&mut io, tag(key(1)), sender.as_raw_fd(), 5));
    assert_eq!(rig.backend.zero_copy.ended(tag(key(1)), -libc::EPIPE), Some(-libc::EPIPE));
    assert!(rig.backend.zero_copy.begin(&mut io, tag(key(1)), sender.as_raw_fd(), 5));
    rig.backend.zero_copy.keep(tag(key(1)), -libc::EPIPE);
    assert_eq!(rig.backend.zero_copy.ended(tag(key(1)), 0), Some(-libc::EPIPE));
    rig.send(key(1), &sender, &[b"whole"]);
    assert_eq!(rig.sent(key(1)), Ok(5));
    reader.read_exact(&mut [0; 5]).expect("read");
}

#[test]
fn with_an_idle_timeout_they_go_in_parts() {
    let part = super::super::zero_copy::MAX_PART;
    for (from, len) in [(1, part), (part as u32 + 5, part + 5)] {
        let options = Options::new(BUFFER_SIZE).threads(1).zero_copy_from(from).idle_timeout(LONG);
        let mut rig = Rig::of(&options);
        rig.backend.start().expect("the ring is enabled");
        let (mut reader, sender) = tcp_pair();
        let bytes = vec![1; 2 * part];
        rig.send(key(1), &sender, &[&bytes[..part], &bytes[part..]]);
        let reading = std::thread::spawn(move || reader.read_to_end(&mut Vec::new()).expect("the end"));
        let sent = rig.sent(key(1)).expect("a part of it");
        assert!((1..=len).contains(&sent), "{sent} of {len}");
        drop(sender);
        assert_eq!(reading.join().expect("no panic"), sent);
    }
}
