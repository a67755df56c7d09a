//! The cancel of sends that are picked by their states: those end with what had gone of them, and the others go on.

use socket_iocp::{Context, ErrorCode, Port, PortHandle, SocketHandle};
use socket_iocp_testkit::{Client, Completion, Event, Lab, Probe, completions, on_every_backend};
use std::sync::{Arc, OnceLock};

on_every_backend!(
    those_picked_end_and_the_others_go_on,
    one_that_has_begun_ends_with_its_part,
    it_tells_in_a_callback_whether_it_has_picked_any,
    what_it_calls_is_as_another_threads,
    a_panic_of_it_ends_the_socket,
    all_of_them_before_a_fin,
);

/// More than the kernel takes when nobody reads.
const LARGE_BYTES: usize = 32 << 20;

/// A socket with a large send, 0, and nine of 100 bytes behind it.
fn sending(lab: &Lab, probe: Probe) -> (Port<Probe>, SocketHandle, Client) {
    let port = Port::new(probe, lab.options()).expect("a port");
    let (socket, client) = lab.pair();
    let handle = port.add_connected(socket, 1).expect("a connected socket");
    port.send(handle, vec![0; LARGE_BYTES], 0).expect("a live socket");
    for write in 1..10 {
        port.send(handle, vec![write as u8; 100], write).expect("a live socket");
    }
    (port, handle, client)
}

fn those_picked_end_and_the_others_go_on(lab: &Lab) {
    let (port, handle, mut client) = sending(lab, Probe::silent());
    port.cancel_sends(handle, |write| write % 2 == 1).expect("a live socket");
    let odd: Vec<Completion> = (0..5).map(|half| (2 * half + 1, Some(ErrorCode::Cancelled), 0)).collect();
    assert_eq!(port.handler().wait_for_sends(5), odd);
    port.shutdown_send(handle).expect("a live socket");
    let read = client.read_to_end().expect("the others, and a FIN");
    let expected = (1..5).flat_map(|half| [2 * half as u8; 100]);
    assert!(read[..LARGE_BYTES].iter().all(|byte| *byte == 0));
    assert!(read[LARGE_BYTES..].iter().copied().eq(expected));
    let even: Vec<u64> = port.handler().wait_for_sends(10)[5..].iter().map(|(write, ..)| *write).collect();
    assert_eq!(even, [0, 2, 4, 6, 8]);
}

fn one_that_has_begun_ends_with_its_part(lab: &Lab) {
    let (port, handle, mut client) = sending(lab, Probe::silent());
    // It has begun.
    client.read_exact(1).expect("a live connection");
    port.cancel_sends(handle, |write| *write == 0).expect("a live socket");
    let first = port.handler().wait_for_sends(1)[0];
    assert!(matches!(first, (0, Some(ErrorCode::Cancelled), 1..LARGE_BYTES)), "{first:?}");
    port.shutdown_send(handle).expect("a live socket");
    let read = client.read_to_end().expect("the others, and a FIN");
    assert_eq!(read.len() + 1, first.2 + 900);
    let expected = (1..10).flat_map(|write| [write; 100]);
    assert!(read[first.2 - 1..].iter().copied().eq(expected));
    assert!(port.handler().wait_for_sends(10)[1..].iter().all(|(_, code, _)| code.is_none()));
}

fn it_tells_in_a_callback_whether_it_has_picked_any(lab: &Lab) {
    let reaction = |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        if let (Some(context), Event::Received { handle, .. }) = (context, event) {
            let cancel = |meant| context.port().cancel_sends(*handle, move |write| *write == meant);
            let code = |meant| cancel(meant).map_err(|error| error.code());
            assert_eq!(
                (code(77), code(5), code(5)),
                (Err(ErrorCode::NotOutstanding), Ok(()), Err(ErrorCode::NotOutstanding))
            );
        }
        None
    };
    let (port, handle, mut client) = sending(lab, Probe::reacting(reaction));
    port.recv(handle).expect("a live socket");
    client.write_all(b"x").expect("a live connection");
    assert_eq!(port.handler().wait_for_sends(1), [(5, Some(ErrorCode::Cancelled), 0)]);
    client.read_exact(LARGE_BYTES + 800).expect("a live connection");
    assert!(port.handler().wait_for_sends(10)[1..].iter().all(|(_, code, _)| code.is_none()));
}

fn what_it_calls_is_as_another_threads(lab: &Lab) {
    let inner: Arc<OnceLock<PortHandle<Probe>>> = Arc::default();
    let in_reaction = inner.clone();
    let reaction = move |_: &Probe, context: Option<&Context<'_, Probe>>, event: &Event| {
        let Event::Received { handle, result: Ok(bytes), .. } = event else { return None };
        if let Some(context) = context.filter(|_| !bytes.is_empty()) {
            let (port, handle) = (in_reaction.get().expect("set before").clone(), *handle);
            let which = move |write: &u64| {
                if *write == 9 {
                    port.send(handle, b"behind", 10).expect("a live socket");
                    port.recv(handle).expect("none is outstanding");
                }
                *write < 10
            };
            context.port().cancel_sends(handle, which).expect("there are some");
        }
        None
    };
    let (port, handle, mut client) = sending(lab, Probe::reacting(reaction));
    inner.set(PortHandle::clone(&port)).expect("once");
    port.recv(handle).expect("a live socket");
    client.write_all(b"x").expect("a live connection");
    // The one behind them may have gone by then.
    let ten = &port.handler().wait_for_sends(10)[..10];
    let gone: usize = ten.iter().map(|(.., bytes)| bytes).sum();
    assert!(ten.iter().all(|(_, code, _)| *code == Some(ErrorCode::Cancelled)), "{ten:?}");
    assert_eq!(&client.read_exact(gone + 6).expect("a live connection")[gone..], b"behind");
}

fn a_panic_of_it_ends_the_socket(lab: &Lab) {
    let (port, handle, _client) = sending(lab, Probe::silent());
    port.cancel_sends(handle, |write| if *write == 3 { panic!("by the test") } else { false }).expect("a live socket");
    let (reason, before) = port.handler().wait_for_end(handle);
    assert_eq!(reason.map_err(|error| error.code()), Err(ErrorCode::Panic));
    assert_eq!(completions(&before).len(), 10);
}

fn all_of_them_before_a_fin(lab: &Lab) {
    let (port, handle, mut client) = sending(lab, Probe::silent());
    port.shutdown_send(handle).expect("a live socket");
    port.cancel_sends(handle, |_| true).expect("a live socket");
    let all = port.handler().wait_for_sends(10);
    assert!(all.iter().all(|(_, code, _)| *code == Some(ErrorCode::Cancelled)), "{all:?}");
    let gone: usize = all.iter().map(|(.., bytes)| bytes).sum();
    assert_eq!(client.read_to_end().expect("a beginning and the FIN").len(), gone);
    port.close(handle).expect("a live socket");
    assert_eq!(port.cancel_sends(handle, |_| true).map_err(|error| error.code()), Err(ErrorCode::Closed));
}
