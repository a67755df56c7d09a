//! Recvs that stay with the kernel, where the system has them: what comes between two recvs is kept for the next, in bounds, and
//! no end of a socket loses what another backend would not.

use socket_iocp::{Context, ErrorCode, Options, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Client, Event, Lab, Probe, on_every_backend};
use std::time::Duration;

on_every_backend!(
    one_recv_is_one_callback,
    what_comes_between_two_recvs_is_kept_in_order,
    a_fin_between_two_recvs_is_said_to_the_next,
    a_reset_between_two_recvs_is_said_to_the_next,
    a_removal_loses_nothing,
    a_removal_with_a_recv_outstanding_loses_nothing,
    a_close_throws_away_what_is_kept,
    an_abort_throws_away_what_is_kept,
    a_delete_throws_away_what_is_kept,
    an_idle_timeout_is_for_recvs_that_are_issued,
    a_driven_port_has_them_too,
);

/// The state of the socket whose echo shows that its worker has been through a wait.
const ECHOING: u64 = 2;

fn options(lab: &Lab) -> Options {
    lab.options().threads(1).multishot_recv(true)
}

/// Echoes on the sockets of the state [`ECHOING`]; on others it only writes down.
fn probe() -> Probe {
    Probe::reacting(|_, context: Option<&Context<'_, Probe>>, event| {
        if let (Some(context), Event::Received { state: ECHOING, result: Ok(bytes), .. }) = (context, event)
            && !bytes.is_empty()
        {
            context.send(bytes.clone(), 0).expect("a live socket");
            context.recv().expect("a live socket");
        }
        None
    })
}

/// One socket under test, and one whose echo comes after the worker has taken what came before it.
struct Pair {
    port: Port<Probe>,
    socket: SocketHandle,
    client: Client,
    echo: Client,
}

impl Pair {
    /// The first recv has brought a byte, and none is issued.
    fn new(lab: &Lab, options: Options) -> Pair {
        let port = Port::new(probe(), options).expect("a port");
        let [(socket, client), (_, echo)] = [1, ECHOING].map(|state| {
            let (socket, client) = lab.pair();
            let handle = port.add_connected(socket, state).expect("a connected socket");
            port.recv(handle).expect("a live socket");
            (handle, client)
        });
        let mut pair = Pair { port, socket, client, echo };
        pair.client.write_all(b"f").expect("a live connection");
        pair.port.handler().wait_for_bytes(socket, 1);
        pair
    }

    /// The peer sends this, and the worker has had its turn.
    fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).expect("a live connection");
        self.settle();
    }

    /// The worker has waited since whatever happened before, and has taken what the wait found.
    fn settle(&mut self) {
        for _ in 0..2 {
            self.echo.write_all(b"x").expect("a live connection");
            self.echo.read_exact(1).expect("the echo");
        }
    }

    /// The results of the recv callbacks so far, but for the first.
    fn received(&self) -> Vec<Result<Vec<u8>, ErrorCode>> {
        received(&self.port, self.socket)
    }

    /// Issues a recv, and waits for its callback.
    fn recv(&self) -> Result<Vec<u8>, ErrorCode> {
        let before = self.received().len();
        self.port.recv(self.socket).expect("none is outstanding");
        self.port.handler().wait_for_count("the recv's callback", before + 2, |event| is_recv(event, self.socket));
        self.received().pop().expect("just received")
    }
}

fn is_recv(event: &Event, socket: SocketHandle) -> bool {
    matches!(event, Event::Received { handle, .. } if *handle == socket)
}

fn received(port: &PortHandle<Probe>, socket: SocketHandle) -> Vec<Result<Vec<u8>, ErrorCode>> {
    let history = port.handler().history(socket);
    let results = history.into_iter().filter_map(|event| match event {
        Event::Received { result, .. } => Some(result.map_err(|error| error.code())),
        _ => None,
    });
    results.skip(1).collect()
}

fn one_recv_is_one_callback(lab: &Lab) {
    let mut pair = Pair::new(lab, options(lab));
    for round in 0..50_u8 {
        // By turns the recv waits for the byte, and the byte for the recv.
        if round % 2 == 0 {
            pair.send(&[round]);
            assert_eq!(pair.received().len(), usize::from(round), "a callback of no recv");
            assert_eq!(pair.recv(), Ok(vec![round]));
        } else {
            pair.port.recv(pair.socket).expect("none is outstanding");
            pair.send(&[round]);
            pair.port.handler().wait_for_bytes(pair.socket, 2 + usize::from(round));
        }
        assert_eq!(pair.received().len(), usize::from(round) + 1);
    }
}

fn what_comes_between_two_recvs_is_kept_in_order(lab: &Lab) {
    // More than is kept, in buffers that are not filled.
    const PIECES: u8 = 100;
    let mut pair = Pair::new(lab, options(lab));
    for piece in 0..PIECES {
        pair.send(&[piece; 10]);
    }
    assert_eq!(pair.received(), []);
    let mut bytes = Vec::new();
    while bytes.len() < 10 * usize::from(PIECES) {
        let piece = pair.recv().expect("data");
        assert!(!piece.is_empty());
        bytes.extend(piece);
    }
    assert!(bytes.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at / 10), "other bytes, or another order");
    // And on as ever.
    pair.port.recv(pair.socket).expect("none is outstanding");
    pair.send(b"o");
    assert_eq!(pair.received().pop(), Some(Ok(b"o".to_vec())));
}

fn a_fin_between_two_recvs_is_said_to_the_next(lab: &Lab) {
    let mut pair = Pair::new(lab, options(lab));
    pair.send(b"l");
    pair.client.shutdown_write();
    pair.settle();
    assert_eq!(pair.recv(), Ok(b"l".to_vec()));
    assert_eq!(pair.recv(), Ok(Vec::new()));
    let error = pair.port.recv(pair.socket).expect_err("the peer has finished");
    assert_eq!(error.code(), ErrorCode::Eof);
    pair.port.send(pair.socket, b"still", 9).expect("sending goes on");
    assert_eq!(pair.client.read_exact(5).expect("what was sent"), b"still");
}

fn a_reset_between_two_recvs_is_said_to_the_next(lab: &Lab) {
    let mut pair = Pair::new(lab, options(lab));
    let Pair { port, socket, .. } = &pair;
    let (port, socket) = ((**port).clone(), *socket);
    let (_, spare) = lab.pair();
    std::mem::replace(&mut pair.client, spare).reset();
    pair.settle();
    assert_eq!(pair.received(), [], "a socket with nothing outstanding is not watched");
    port.recv(socket).expect("none is outstanding");
    let (reason, _) = port.handler().wait_for_end(socket);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Reset));
}

/// Takes the socket out, and reads on where the port has stopped, until it has read this many bytes in all.
fn read_on(lab: &Lab, pair: &mut Pair, count: usize) -> Vec<u8> {
    let (reason, _) = pair.port.handler().wait_for_end(pair.socket);
    assert_eq!(reason, Ok(()));
    let mut bytes: Vec<u8> = pair.received().into_iter().flat_map(|result| result.expect("data")).collect();
    let socket = pair.port.handler().take_returned().remove(0);
    let other = Port::new(Probe::reader(), lab.options()).expect("a port");
    let handle = other.add_connected(socket, 0).expect("the program's own again");
    other.recv(handle).expect("a live socket");
    bytes.extend(other.handler().wait_for_bytes(handle, count - bytes.len()));
    bytes
}

fn a_removal_loses_nothing(lab: &Lab) {
    // Less than is kept, as much, and more.
    for pieces in [0_u8, 1, 16, 100] {
        let mut pair = Pair::new(lab, options(lab));
        for piece in 0..pieces {
            pair.send(&[piece; 10]);
        }
        pair.port.send(pair.socket, vec![7; 10], 5).expect("a live socket");
        pair.client.read_exact(10).expect("what was sent");
        pair.port.remove(pair.socket).expect("a live socket");
        pair.client.write_all(b"more").expect("a live connection");
        let expected: Vec<u8> = (0..pieces).flat_map(|piece| [piece; 10]).chain(*b"more").collect();
        assert!(read_on(lab, &mut pair, expected.len()) == expected, "{pieces}: other bytes, or another order");
    }
}

fn a_removal_with_a_recv_outstanding_loses_nothing(lab: &Lab) {
    for round in 0..50_usize {
        let mut pair = Pair::new(lab, options(lab));
        pair.port.recv(pair.socket).expect("none is outstanding");
        let whole: Vec<u8> = (0..200).map(|at| (at + round) as u8).collect();
        for (number, piece) in whole.chunks(10).enumerate() {
            if number == round % 20 {
                pair.port.remove(pair.socket).expect("a live socket");
            }
            pair.client.write_all(piece).expect("a live connection");
        }
        assert!(read_on(lab, &mut pair, whole.len()) == whole, "{round}: other bytes, or another order");
    }
}

fn a_close_throws_away_what_is_kept(lab: &Lab) {
    for pieces in [1, 16, 100] {
        let mut pair = Pair::new(lab, options(lab).linger(Duration::from_secs(3600)));
        for _ in 0..pieces {
            pair.send(b"unread");
        }
        pair.port.send(pair.socket, b"answer", 1).expect("a live socket");
        pair.port.close(pair.socket).expect("a live socket");
        assert_eq!(pair.client.read_to_end().expect("what was sent, and the FIN"), b"answer");
        pair.client.shutdown_write();
        let (reason, _) = pair.port.handler().wait_for_end(pair.socket);
        assert_eq!(reason, Ok(()));
        assert_eq!(pair.received(), []);
    }
}

fn an_abort_throws_away_what_is_kept(lab: &Lab) {
    for pieces in [0, 1, 16, 100] {
        let mut pair = Pair::new(lab, options(lab));
        for _ in 0..pieces {
            pair.send(b"unread");
        }
        pair.port.abort(pair.socket).expect("a live socket");
        let (reason, _) = pair.port.handler().wait_for_end(pair.socket);
        assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
        assert_eq!(pair.received(), []);
        pair.client.read_to_reset().expect("a reset");
    }
}

fn a_delete_throws_away_what_is_kept(lab: &Lab) {
    let mut pair = Pair::new(lab, options(lab));
    for _ in 0..20 {
        pair.send(b"unread");
    }
    let deleted = (*pair.port).clone();
    pair.port.delete();
    let (reason, _) = deleted.handler().wait_for_end(pair.socket);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
    assert_eq!(received(&deleted, pair.socket), []);
    pair.client.read_to_reset().expect("a reset");
}

fn an_idle_timeout_is_for_recvs_that_are_issued(lab: &Lab) {
    let mut pair = Pair::new(lab, options(lab).idle_timeout(Duration::from_millis(200)));
    // The other socket has a recv outstanding, and comes to its end; on this one nothing is.
    pair.port.handler().wait_for("the end of the idle one", |log| {
        let ended = |event: &Event| matches!(event, Event::Farewell { state: ECHOING, .. });
        log.iter().any(ended).then_some(())
    });
    pair.client.write_all(b"l").expect("a live connection");
    assert_eq!(pair.recv(), Ok(b"l".to_vec()));
    pair.port.recv(pair.socket).expect("none is outstanding");
    let (reason, _) = pair.port.handler().wait_for_end(pair.socket);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::TimedOut));
}

fn a_driven_port_has_them_too(lab: &Lab) {
    const ROUNDS: usize = 20;
    let port = Port::new(probe(), options(lab).threads(0)).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    for round in 0..ROUNDS {
        // By turns the recv waits for the bytes, and the bytes for the recv.
        if round % 2 == 0 {
            port.recv(socket).expect("none is outstanding");
            client.write_all(b"h").expect("a live connection");
        } else {
            client.write_all(b"h").expect("a live connection");
            port.run(Some(Duration::from_millis(1))).expect("a driven port");
            assert_eq!(port.handler().count(|event| is_recv(event, socket)), round, "a callback of no recv");
            port.recv(socket).expect("none is outstanding");
        }
        while port.handler().count(|event| is_recv(event, socket)) == round {
            port.run(Some(Duration::from_secs(1))).expect("a driven port");
        }
    }
    assert_eq!(port.handler().wait_for_bytes(socket, 0).len(), ROUNDS);
}
