//! A socket goes to another process, with what belongs to it, and is served there: a connection that is under way, a listener,
//! one that was in no port. ("Other sockets".)

#![forbid(unsafe_code)]

use socket_iocp::{Context, ErrorCode, MAX_PASSED_DATA, PassedSocket, Port, pass_socket, take_passed_socket};
use socket_iocp_testkit::platform::{self, Stream};
use socket_iocp_testkit::{BOUND, Event, Lab, Probe, child, child_role, on_every_backend, run_child, tcp_pair};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::{env, process, thread};

// Real only: what another process has is the system's.
on_every_backend!(
    real: a_connection_under_way_is_served_by_another_process,
    a_listener_is_served_by_another_process,
    what_was_in_no_port_is_served_by_another_process,
    a_datagram_socket_is_served_by_another_process,
);

/// Set in a child: where the channel to it is to be had.
const CHANNEL: &str = "SOCKET_IOCP_TEST_CHANNEL";

/// The listener of the channel: of the family that can carry a socket.
#[cfg(unix)]
mod listening {
    use super::{Stream, env, process};
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    pub(super) struct Listening(UnixListener, PathBuf);

    impl Listening {
        pub(super) fn open(test: &str) -> Listening {
            let path = env::temp_dir().join(format!("socket-iocp-{}-{}", process::id(), test.replace(':', "-")));
            // What an earlier process of this number may have left.
            let _ = fs::remove_file(&path);
            Listening(UnixListener::bind(&path).expect("a name in the directory for such"), path)
        }

        pub(super) fn place(&self) -> String {
            self.1.to_str().expect("text").to_owned()
        }

        pub(super) fn accept(self) -> Stream {
            let (stream, _) = self.0.accept().expect("the child");
            fs::remove_file(self.1).expect("the listener's file");
            stream
        }
    }

    pub(super) fn connect(place: &str) -> Stream {
        Stream::connect(place).expect("the parent listens")
    }
}

/// The listener of the channel: a description goes over any stream.
#[cfg(windows)]
mod listening {
    use super::Stream;
    use std::net::TcpListener;

    pub(super) struct Listening(TcpListener);

    impl Listening {
        pub(super) fn open(_: &str) -> Listening {
            Listening(TcpListener::bind("127.0.0.1:0").expect("a loopback port"))
        }

        pub(super) fn place(&self) -> String {
            self.0.local_addr().expect("an address").to_string()
        }

        pub(super) fn accept(self) -> Stream {
            self.0.accept().expect("the child").0
        }
    }

    pub(super) fn connect(place: &str) -> Stream {
        Stream::connect(place).expect("the parent listens")
    }
}

/// The other process's end of the channel, and its number.
struct Other {
    channel: Stream,
    process: u32,
}

impl Other {
    /// Waits until it has its own socket, so that this process can do without.
    fn has_it(&mut self) {
        self.channel.read_exact(&mut [0]).expect("a word");
    }
}

/// Runs the test `name` again in another process, `here` in this one and `there` in that.
fn with_another_process(name: &str, lab: &Lab, here: impl FnOnce(Other), there: impl FnOnce(Stream)) {
    let test = format!("{name}::{}", lab.name());
    if child_role().as_deref() == Some(test.as_str()) {
        let mut channel = listening::connect(&env::var(CHANNEL).expect("set by the parent"));
        channel.write_all(&process::id().to_le_bytes()).expect("the parent reads");
        return there(channel);
    }
    let listening = listening::Listening::open(&test);
    let place = listening.place();
    let mut command = child(&test, &test);
    command.env(CHANNEL, &place);
    thread::scope(|scope| {
        scope.spawn(move || {
            // A child that has failed before it connected is waited for by nobody.
            let _over = Connects(place);
            run_child(command)
        });
        let mut channel = listening.accept();
        let mut process = [0; 4];
        channel.read_exact(&mut process).expect("the child's number");
        here(Other { channel, process: u32::from_le_bytes(process) });
    });
}

/// Connects in its drop, if somebody still waits for that.
struct Connects(String);

impl Drop for Connects {
    fn drop(&mut self) {
        let _ = Stream::connect(&self.0);
    }
}

fn exchange(client: &mut TcpStream, text: &[u8]) {
    client.write_all(text).expect("a live connection");
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).expect("the echo");
    assert_eq!(answer, text);
}

/// Serves a connection until its client ends it.
fn serve_to_the_end(lab: &Lab, channel: &mut Stream, socket: platform::OwnedSocket) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let handle = port.add_connected(socket, 0).expect("a connection");
    port.recv(handle).expect("an open socket");
    channel.write_all(b"s").expect("the parent reads");
    assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
}

fn end(mut client: TcpStream) {
    client.shutdown(Shutdown::Write).expect("a FIN");
    assert_eq!(client.read(&mut [0]).expect("no reset"), 0);
}

fn a_connection_under_way_is_served_by_another_process(lab: &Lab) {
    let here = |mut other: Other| {
        let (served, mut client) = tcp_pair();
        let port = Port::new(Probe::echo(), lab.options()).expect("a port");
        let handle = port.add_connected(served, 0).expect("a connection");
        port.recv(handle).expect("an open socket");
        exchange(&mut client, b"here");
        port.remove(handle).expect("an open socket");
        assert_eq!(port.handler().wait_for_farewell(handle), Ok(()));
        let socket = platform::owned(port.handler().take_returned().remove(0)).expect("a real one");
        // What comes while it is on its way waits in the kernel.
        client.write_all(b"on the way").expect("a live connection");
        pass_socket(&other.channel, other.process, &socket, b"its state").expect("the child takes it");
        other.has_it();
        drop(socket);
        port.delete();
        let mut answer = [0; 10];
        client.read_exact(&mut answer).expect("the echo");
        assert_eq!(&answer, b"on the way");
        exchange(&mut client, b"there");
        end(client);
    };
    let there = |mut channel: Stream| {
        let PassedSocket { socket, data, .. } = take_passed_socket(&channel).expect("a connection");
        assert_eq!(data, b"its state");
        serve_to_the_end(lab, &mut channel, socket);
    };
    with_another_process("a_connection_under_way_is_served_by_another_process", lab, here, there);
}

fn a_listener_is_served_by_another_process(lab: &Lab) {
    let here = |mut other: Other| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let port = Port::new(Probe::echo(), lab.options()).expect("a port");
        let handle = port.add_listener(listener, 4, 0).expect("a listener");
        let mut client = TcpStream::connect(address).expect("somebody listens");
        exchange(&mut client, b"here");
        let listener = platform::owned(port.remove_listener(handle).expect("a listener")).expect("a real one");
        port.handler().wait_for("the listener's farewell", |log| {
            log.iter().any(|event| matches!(event, Event::ListenerFarewell { .. })).then_some(())
        });
        // Nobody accepts it yet.
        let mut waiting = TcpStream::connect(address).expect("somebody listens");
        pass_socket(&other.channel, other.process, &listener, b"").expect("the child takes it");
        other.has_it();
        drop(listener);
        exchange(&mut waiting, b"there");
        // The connection that was accepted here is served here.
        exchange(&mut client, b"still here");
        other.channel.write_all(b"e").expect("the child waits");
    };
    let there = |mut channel: Stream| {
        let passed = take_passed_socket(&channel).expect("a listener");
        assert_eq!(passed.data, b"");
        let port = Port::new(Probe::echo(), lab.options()).expect("a port");
        port.add_listener(passed.socket, 4, 0).expect("a listener");
        channel.write_all(b"s").expect("the parent reads");
        channel.read_exact(&mut [0]).expect("the end");
    };
    with_another_process("a_listener_is_served_by_another_process", lab, here, there);
}

/// Several over one channel, each with its own bytes, from none to the most.
fn what_was_in_no_port_is_served_by_another_process(lab: &Lab) {
    let lengths = [0, 1, MAX_PASSED_DATA];
    let bytes = |length: usize| -> Vec<u8> { (0..length).map(|at| (at * 7) as u8).collect() };
    let here = |mut other: Other| {
        let mut clients = Vec::new();
        for length in lengths {
            let (served, client) = tcp_pair();
            pass_socket(&other.channel, other.process, &served, &bytes(length)).expect("the child takes it");
            clients.push((served, client));
        }
        for (served, mut client) in clients {
            other.has_it();
            drop(served);
            exchange(&mut client, b"there");
            end(client);
        }
    };
    let there = |mut channel: Stream| {
        let all: Vec<_> = lengths.map(|_| take_passed_socket(&channel).expect("a connection")).into();
        for (PassedSocket { socket, data, .. }, length) in all.into_iter().zip(lengths) {
            assert!(data == bytes(length), "{} bytes instead of {length}", data.len());
            serve_to_the_end(lab, &mut channel, socket);
        }
    };
    with_another_process("what_was_in_no_port_is_served_by_another_process", lab, here, there);
}

fn a_datagram_socket_is_served_by_another_process(lab: &Lab) {
    let here = |mut other: Other| {
        let (served, client) = (udp(), udp());
        let (served_at, other_at) =
            (served.local_addr().expect("an address"), client.local_addr().expect("an address"));
        client.send_to(b"on the way", served_at).expect("a datagram");
        pass_socket(&other.channel, other.process, &served, other_at.to_string().as_bytes())
            .expect("the child takes it");
        other.has_it();
        drop(served);
        let expect = |text: &[u8]| {
            let mut answer = [0; 16];
            let (len, from) = client.recv_from(&mut answer).expect("the echo");
            assert_eq!((&answer[..len], from), (text, served_at));
        };
        expect(b"on the way");
        client.send_to(b"there", served_at).expect("a datagram");
        expect(b"there");
        other.channel.write_all(b"e").expect("the child waits");
    };
    let there = |mut channel: Stream| {
        let PassedSocket { socket, data, .. } = take_passed_socket(&channel).expect("a datagram socket");
        let from: SocketAddr = str::from_utf8(&data).expect("text").parse().expect("an address");
        let echo = move |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
            if let (Some(context), Some(Ok(mail))) = (context, event.mail()) {
                assert_eq!(mail.sender, from);
                context.port().send_to(context.handle(), mail.sender, mail.bytes, 0).expect("an open socket");
                context.recv().expect("none is outstanding");
            }
            None
        };
        let port = Port::new(Probe::reacting(echo), lab.options()).expect("a port");
        let handle = port.add_datagram(socket, 0).expect("a datagram socket");
        port.recv(handle).expect("an open socket");
        channel.write_all(b"s").expect("the parent reads");
        channel.read_exact(&mut [0]).expect("the end");
    };
    with_another_process("a_datagram_socket_is_served_by_another_process", lab, here, there);
}

/// A datagram socket with an address, whose waits have an end.
fn udp() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
    socket.set_read_timeout(Some(BOUND)).expect("a time-out");
    socket
}

/// Two ends of a channel within this process.
fn channel() -> (Stream, Stream) {
    platform::pairs(1).remove(0)
}

/// What taking from a channel is refused with on which nothing but these bytes came.
fn refusal_of(bytes: &[u8]) -> ErrorCode {
    let (mut sending, receiving) = channel();
    sending.write_all(bytes).expect("a reader");
    drop(sending);
    take_passed_socket(&receiving).expect_err("no socket").code()
}

#[test]
fn too_many_bytes_are_refused_and_nothing_is_sent() {
    let (sending, receiving) = channel();
    let (socket, _client) = tcp_pair();
    let refused = pass_socket(&sending, process::id(), &socket, &[0; MAX_PASSED_DATA + 1]).expect_err("too many");
    assert_eq!(refused.code(), ErrorCode::InvalidArgument);
    drop(sending);
    assert_eq!(take_passed_socket(&receiving).expect_err("nothing came").code(), ErrorCode::Eof);
}

#[test]
fn what_is_no_passed_socket_is_refused() {
    assert_eq!(refusal_of(b""), ErrorCode::Eof);
    assert_eq!(refusal_of(b"soc"), ErrorCode::Eof);
    assert_eq!(refusal_of(&[b'x'; 4096]), ErrorCode::InvalidArgument);
}

#[test]
fn a_channel_that_nobody_reads_is_an_error_and_no_signal() {
    let (sending, receiving) = channel();
    drop(receiving);
    let (socket, _client) = tcp_pair();
    // A TCP channel meets the reset with the first write, and says so with a later one.
    let refused = (0..1000).find_map(|_| pass_socket(&sending, process::id(), &socket, b"").err());
    let code = refused.expect("nobody reads").code();
    assert!(matches!(code, ErrorCode::BrokenPipe | ErrorCode::Reset | ErrorCode::ConnectionAborted), "{code:?}");
}
