//! Every descriptor of the library is close-on-exec, every handle is not inherited: a program started by the process has
//! none.

use socket_iocp::Port;
use socket_iocp_testkit::{Event, Lab, Probe, in_own_process, on_every_backend, open_descriptors, platform};

// Not on the simulated network, which has no descriptors.
on_every_backend!(real: a_started_program_inherits_nothing);

fn a_started_program_inherits_nothing(lab: &Lab) {
    in_own_process("a_started_program_inherits_nothing", lab, look);
}

fn look(lab: &Lab) {
    let (inherited_before, open_before) = (platform::inherited(), open_descriptors());
    let port = Port::new(Probe::echo(), lab.options()).expect("a port");
    let driven = Port::new(Probe::silent(), lab.options().threads(0)).expect("a driven port");
    let (listener, address) = lab.listen();
    port.add_listener(listener, 4, 7).expect("a listener");
    let mut clients: Vec<_> = (0..10).map(|_| lab.connect(address)).collect();
    for client in &mut clients {
        client.write_all(b"x").expect("a live connection");
        assert_eq!(client.read_exact(1).expect("the echo"), b"x");
    }
    // A socket of the library's own making, and what it takes to connect to hosts.
    port.connect_host(&address.ip().to_string(), address.port(), 0).expect("an address");
    port.handler().wait_for_count("the connect", 1, |event| matches!(event, Event::Connected { .. }));
    // Ten clients, ten accepted sockets, the listener, both ends of that connection, and what the ports need themselves.
    assert!(open_descriptors() > open_before + 23, "there is something to inherit");
    assert_eq!(platform::inherited(), inherited_before);
    drop(driven);
    port.delete();
}
