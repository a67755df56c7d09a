//! Each send of a datagram socket is one datagram: whole, in the order of the calls, to the address of its call.

use socket_iocp::{Context, ErrorCode, Port, SendBuffer};
use socket_iocp_testkit::{Event, Lab, Probe, on_every_backend};
use std::net::SocketAddr;
use std::sync::Arc;

on_every_backend!(
    they_leave_whole_and_in_order,
    one_of_no_bytes_is_sent,
    each_goes_to_its_own_address,
    from_any_thread,
    one_sync_send_at_a_time,
    an_echo_sends_back_where_it_came_from,
    a_connected_one_needs_no_address,
    every_sort_of_send_is_a_datagram,
    what_was_given_comes_back,
    a_stream_sends_to_no_address,
);

fn wait_for_sends(port: &Port<Probe>, count: usize) -> Vec<u64> {
    let sent = port.handler().wait_for_count("sends", count, |event| event.sent().is_some());
    let results = sent.iter().filter_map(Event::sent);
    results.map(|(write, result)| result.map(|()| write).expect("nothing fails")).collect()
}

fn they_leave_whole_and_in_order(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let correspondent = lab.correspondent();
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    for write in 0..50_u8 {
        port.send_to(handle, correspondent.address(), vec![write; usize::from(write)], write.into()).expect("a socket");
    }
    port.sync_send_to(handle, correspondent.address(), &b"last"[..], 50).expect("a socket");
    for write in 0..50_u8 {
        assert_eq!(correspondent.receive(), (vec![write; usize::from(write)], address));
    }
    assert_eq!(correspondent.receive(), (b"last".to_vec(), address));
    assert_eq!(wait_for_sends(&port, 51), (0..=50).collect::<Vec<_>>());
    let statistics = port.statistics();
    assert_eq!((statistics.sends, statistics.sent_bytes), (51, (0..50).sum::<u64>() + 4));
}

fn one_of_no_bytes_is_sent(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let correspondent = lab.correspondent();
    let (socket, address) = lab.datagram_socket(Some(correspondent.address()));
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.send_to(handle, correspondent.address(), &b""[..], 1).expect("a socket");
    port.send(handle, &b""[..], 2).expect("a socket");
    port.sync_send(handle, &b""[..], 3).expect("a socket");
    port.send(handle, &b"x"[..], 4).expect("a socket");
    for bytes in [&b""[..], b"", b"", b"x"] {
        assert_eq!(correspondent.receive(), (bytes.to_vec(), address));
    }
    assert_eq!(wait_for_sends(&port, 4), [1, 2, 3, 4]);
}

fn each_goes_to_its_own_address(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let correspondents: Vec<_> = (0..10).map(|_| lab.correspondent()).collect();
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    for round in 0..5_u8 {
        for (number, correspondent) in (0..).zip(&correspondents) {
            port.send_to(handle, correspondent.address(), vec![round, number], 0).expect("a socket");
        }
    }
    for (number, correspondent) in (0..).zip(&correspondents) {
        for round in 0..5 {
            assert_eq!(correspondent.receive(), (vec![round, number], address));
        }
    }
}

fn from_any_thread(lab: &Lab) {
    const EACH: u64 = 20;
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, _) = lab.datagram_socket(None);
    let correspondent = lab.correspondent();
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (port, to) = (&port, correspondent.address());
            scope.spawn(move || {
                for number in 0..EACH {
                    port.send_to(handle, to, vec![thread, number as u8], 0).expect("a socket");
                }
            });
        }
    });
    let mut next = [0; 4];
    for _ in 0..4 * EACH {
        let (bytes, _) = correspondent.receive();
        let own = &mut next[usize::from(bytes[0])];
        assert_eq!(bytes[1], *own, "those of one thread come in its order");
        *own += 1;
    }
    wait_for_sends(&port, 4 * EACH as usize);
}

/// In a callback, where none is done before it returns.
fn one_sync_send_at_a_time(lab: &Lab) {
    let correspondent = lab.correspondent();
    let to = correspondent.address();
    let probe = Probe::reacting(move |_, context: Option<&Context<'_, Probe>>, event| {
        let context = context?;
        if let Event::Datagram { .. } = event {
            context.sync_send_to(to, &b"first"[..], 1).expect("none is outstanding");
            let refused = context.sync_send_to(to, &b"second"[..], 2).expect_err("one at a time");
            let again = context.sync_send(&b"third"[..], 3).expect_err("one at a time");
            let codes = (refused.error.code(), again.error.code());
            assert_eq!((codes, refused.buffer.len(), refused.write), ((ErrorCode::Busy, ErrorCode::Busy), 6, 2));
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    for _ in 0..3 {
        port.recv(handle).expect("a datagram socket");
        correspondent.send_to(b"go", address);
        assert_eq!(correspondent.receive(), (b"first".to_vec(), address));
    }
}

fn an_echo_sends_back_where_it_came_from(lab: &Lab) {
    let probe = Probe::reacting(|_, context: Option<&Context<'_, Probe>>, event| {
        let context = context?;
        match event {
            Event::Datagram { result: Ok(mail), .. } => {
                context.sync_send_to(mail.sender, mail.bytes.clone(), 0).expect("the one before has gone");
            }
            Event::Sent { .. } => context.recv().expect("a datagram socket"),
            _ => {}
        }
        Some(0)
    });
    let port = Port::new(probe, lab.options()).expect("a port");
    let (socket, address) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.recv(handle).expect("a datagram socket");
    let correspondents: Vec<_> = (0..5).map(|_| lab.correspondent()).collect();
    for round in 0..20_u8 {
        for (number, correspondent) in (0..).zip(&correspondents) {
            correspondent.send_to(&[round, number], address);
        }
        for (number, correspondent) in (0..).zip(&correspondents) {
            assert_eq!(correspondent.receive(), (vec![round, number], address));
        }
    }
}

fn a_connected_one_needs_no_address(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let correspondent = lab.correspondent();
    let (socket, address) = lab.datagram_socket(Some(correspondent.address()));
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    port.send(handle, &b"async"[..], 1).expect("a socket");
    port.sync_send(handle, &b"sync"[..], 2).expect("a socket");
    assert_eq!(correspondent.receive(), (b"async".to_vec(), address));
    assert_eq!(correspondent.receive(), (b"sync".to_vec(), address));
    wait_for_sends(&port, 2);
    // What a send with an address leaves behind is not for the next one.
    port.sync_send_to(handle, correspondent.address(), &b"with it"[..], 3).expect("a socket");
    wait_for_sends(&port, 3);
    port.sync_send(handle, &b"without"[..], 4).expect("a socket");
    assert_eq!(correspondent.receive().0, b"with it");
    assert_eq!(correspondent.receive().0, b"without");
}

fn every_sort_of_send_is_a_datagram(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let correspondent = lab.correspondent();
    let (socket, _) = lab.datagram_socket(Some(correspondent.address()));
    let handle = port.add_datagram(socket, 0).expect("a datagram socket");
    let shared: Arc<[u8]> = Arc::from(&b"shared"[..]);
    port.send_copy(handle, b"copied", 1).expect("a socket");
    let parts = [SendBuffer::from(&b"in"[..]), SendBuffer::default(), b" parts".into()];
    port.send_vectored(handle, parts, 2).expect("a socket");
    port.send(handle, shared.clone(), 3).expect("a socket");
    port.send_to(handle, correspondent.address(), shared.clone(), 4).expect("a socket");
    port.send_within(handle, &b"limited"[..], 5, std::time::Duration::from_secs(600)).expect("a socket");
    for bytes in [&b"copied"[..], b"in parts", b"shared", b"shared", b"limited"] {
        assert_eq!(correspondent.receive().0, bytes);
    }
    assert_eq!(wait_for_sends(&port, 5), [1, 2, 3, 4, 5]);
    port.delete();
    assert_eq!(Arc::strong_count(&shared), 1);
}

/// The buffer, not what it travelled in.
fn what_was_given_comes_back(lab: &Lab) {
    struct Giver;
    impl socket_iocp::Handler for Giver {
        type Listener = ();
        type Socket = std::sync::mpsc::Sender<Vec<u8>>;
        type Write = ();

        fn accept(&self, _: &Context<'_, Self>, (): &()) -> Option<Self::Socket> {
            None
        }

        fn recv(
            &self,
            _: &Context<'_, Self>,
            _: &mut Self::Socket,
            _: Result<socket_iocp::ReadBuffer, socket_iocp::Error>,
        ) {
            unreachable!("a datagram socket has a callback of its own");
        }

        fn send(&self, _: &Context<'_, Self>, socket: &mut Self::Socket, sent: socket_iocp::Sent<()>) {
            socket.send(sent.buffer.into_vec().expect("a vector")).expect("the test listens");
        }

        fn error(&self, _: &Context<'_, Self>, _: Self::Socket, _: socket_iocp::Farewell) {}
    }
    let port = Port::new(Giver, lab.options()).expect("a port");
    let (sender, receiver) = std::sync::mpsc::channel();
    let (socket, _) = lab.datagram_socket(None);
    let handle = port.add_datagram(socket, sender).expect("a datagram socket");
    let to = lab.correspondent().address();
    for round in 0..3 {
        port.send_to(handle, to, vec![round; 10], ()).expect("a socket");
        assert_eq!(receiver.recv(), Ok(vec![round; 10]));
        port.sync_send_to(handle, to, vec![round; 20], ()).expect("a socket");
        assert_eq!(receiver.recv(), Ok(vec![round; 20]));
    }
}

fn a_stream_sends_to_no_address(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options()).expect("a port");
    let (socket, mut client) = lab.pair();
    let handle = port.add_connected(socket, 0).expect("a connected socket");
    let to: SocketAddr = lab.correspondent().address();
    let refused = port.send_to(handle, to, &b"no"[..], 8).expect_err("a stream");
    assert_eq!((refused.error.code(), refused.buffer.len(), refused.write), (ErrorCode::NotDatagram, 2, 8));
    let refused = port.sync_send_to(handle, to, &b"no"[..], 9).expect_err("a stream");
    assert_eq!((refused.error.code(), refused.buffer.len(), refused.write), (ErrorCode::NotDatagram, 2, 9));
    port.send(handle, &b"yes"[..], 1).expect("a connected socket");
    assert_eq!(client.read_exact(3).expect("the send"), b"yes");
}
