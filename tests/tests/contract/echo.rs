//! What goes in comes back, over many connections at once.

use socket_iocp::Port;
use socket_iocp_testkit::{Lab, Probe, on_every_backend};

on_every_backend!(bytes_come_back);

fn bytes_come_back(lab: &Lab) {
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 16, 7).expect("a listener");
    let mut clients: Vec<_> = (0..50).map(|_| lab.connect(address)).collect();
    for round in 0..20u8 {
        for client in &mut clients {
            client.write_all(&[round; 100]).expect("a live connection");
        }
        for client in &mut clients {
            assert_eq!(client.read_exact(100).expect("the echo"), [round; 100]);
        }
    }
    for mut client in clients {
        client.shutdown_write();
        assert_eq!(client.read_to_end().expect("a clean end"), b"");
    }
    port.delete();
}
