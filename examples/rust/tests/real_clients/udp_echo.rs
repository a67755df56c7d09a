//! udp_echo.

use crate::on_each_backend;
use crate::server::{LIMIT, Server, UDP_ECHO};
use std::net::UdpSocket;

on_each_backend!(it_answers_each_client, it_answers_the_greatest_datagram_and_the_smallest);

fn client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
    client.set_read_timeout(Some(LIMIT)).expect("a limit");
    client
}

fn expect(client: &UdpSocket, server: &Server, bytes: &[u8]) {
    let mut answer = vec![0; 1 << 16];
    let (len, sender) = client.recv_from(&mut answer).expect("an answer");
    assert!((&answer[..len], sender) == (bytes, server.address));
}

fn it_answers_each_client(backend: &str) {
    let server = Server::start(backend, UDP_ECHO, &[]);
    let clients: Vec<_> = (0..20_u8).map(|number| (number, client())).collect();
    for round in 0..20 {
        for (number, client) in &clients {
            client.send_to(&[*number, round], server.address).expect("a datagram");
        }
        for (number, client) in &clients {
            expect(client, &server, &[*number, round]);
        }
    }
}

fn it_answers_the_greatest_datagram_and_the_smallest(backend: &str) {
    let server = Server::start(backend, UDP_ECHO, &[]);
    let client = client();
    for len in [0, 65_507, 1, 0] {
        let bytes: Vec<u8> = (0..len).map(|place| place as u8).collect();
        client.send_to(&bytes, server.address).expect("a datagram");
        expect(&client, &server, &bytes);
    }
}
