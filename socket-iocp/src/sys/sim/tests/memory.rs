//! Read buffers: none is held by a recv that waits, none is lost.

use super::*;

#[test]
fn no_buffer_loses_no_bytes() {
    let mut rig = Rig::new(1, Behaviour { no_buffer_probability: 1.0, ..Behaviour::calm() });
    let (socket, peer) = rig.pair();
    peer.write_all(b"there").expect("room");
    assert_eq!(rig.recv_to_end(key(0), socket), Err(Failure::NoBuffer));
    rig.network.set_behaviour(Behaviour::calm());
    assert_eq!(rig.recv_to_end(key(0), socket), Ok(b"there".to_vec()));
    rig.close(socket);
}

#[test]
fn a_recv_brings_at_most_one_buffer() {
    let mut rig = Rig::new(1, Behaviour::calm());
    let (socket, peer) = rig.pair();
    let bytes = pattern(1, READ_BUFFER_SIZE + 1);
    peer.write_all(&bytes).expect("room");
    assert!(rig.recv_to_end(key(0), socket).expect("bytes") == bytes[..READ_BUFFER_SIZE]);
    assert!(rig.recv_to_end(key(0), socket).expect("bytes") == bytes[READ_BUFFER_SIZE..]);
    rig.close(socket);
}
