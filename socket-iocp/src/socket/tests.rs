//! The rules of the contract, on the state machine alone.

mod cancels;
mod closing;
mod connects;
mod datagrams;
mod ending;
mod files;
mod idle;
mod timers;
mod watermarks;

use super::*;
use crate::buffer::BufferPool;
use crate::send_queue::Work;

type Under = Machine<u32>;

fn bytes(text: &[u8]) -> ReadBuffer {
    let mut pool = BufferPool::new(64);
    let block = pool.take().expect("memory");
    let mut buffer = pool.filled(block, text.len());
    buffer.copy_from_slice(text);
    buffer
}

fn send(machine: &mut Under, text: &'static [u8], write: u32) {
    machine.issue_send(NodeRef::allocate(0, text.into(), write).expect("memory"));
}

/// Steps until there is none, with nothing in transit. Starting a send hands its slices over.
fn steps(machine: &mut Under) -> Vec<Step> {
    steps_in_transit(machine, false)
}

fn steps_in_transit(machine: &mut Under, in_transit: bool) -> Vec<Step> {
    std::iter::from_fn(|| {
        let step = machine.next_step(in_transit)?;
        match step {
            Step::StartSend => match machine.start_send().1 {
                Work::Bytes(slices) => assert_ne!(slices.count(), 0),
                Work::File(part) => assert_ne!(part.len, 0),
            },
            Step::StartSendTo => _ = machine.start_send_to().2.count(),
            _ => {}
        }
        Some(step)
    })
    .collect()
}

/// The callbacks that are due, as text.
fn events(machine: &mut Under) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(event) = machine.next_event() {
        all.push(match event {
            Event::Accept => "accept".into(),
            Event::Connected => "connected".into(),
            Event::Recv(Ok(buffer)) => format!("recv {}", String::from_utf8_lossy(&buffer)),
            Event::Recv(Err(error)) => format!("recv {:?}", error.code()),
            Event::Datagram(Ok(buffer)) => format!("datagram {}", String::from_utf8_lossy(&buffer)),
            Event::Datagram(Err(error)) => format!("datagram {:?}", error.code()),
            Event::Watermark(mark) => format!("{mark:?}").to_lowercase(),
            Event::Timer(result) => format!("timer {:?}", result.map_err(|error| error.code())),
            Event::Sent(node) => {
                let send = node.finish();
                format!("sent {} {} {:?}", send.write, send.sent, send.result.map_err(|error| error.code()))
            }
            Event::Farewell => {
                let (reason, close) = machine.ending();
                all.push(format!("farewell {:?} {close:?}", reason.map_err(|error| error.code())));
                break;
            }
        });
    }
    all
}

#[test]
fn one_recv_gives_one_callback() {
    let mut machine = Under::new(Origin::Connected, true);
    assert_eq!(steps(&mut machine), []);
    machine.issue_recv();
    assert_eq!(steps(&mut machine), [Step::StartRecv]);
    machine.recv_ended(Ok(bytes(b"abc")));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["recv abc"]);
    assert_eq!(steps(&mut machine), []);
}

#[test]
fn an_operation_without_effect_is_started_again() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"x", 1);
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    machine.ready(true, false);
    assert_eq!(steps(&mut machine), [Step::StartRecv]);
    machine.ready(false, true);
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.recv_ended(Err(Failure::NoBuffer));
    assert!(machine.wants_recv());
    assert_eq!(events(&mut machine), Vec::<String>::new());
}

#[test]
fn events_keep_their_order() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"a", 1);
    steps(&mut machine);
    machine.send_ended(Ok(1));
    machine.recv_ended(Ok(bytes(b"r")));
    send(&mut machine, b"b", 2);
    steps(&mut machine);
    machine.send_ended(Ok(1));
    assert_eq!(events(&mut machine), ["sent 1 1 Ok(())", "recv r", "sent 2 1 Ok(())"]);
}

#[test]
fn an_accept_comes_before_everything() {
    let mut machine = Under::new(Origin::Accepted, true);
    assert_eq!((steps(&mut machine), machine.events_due()), (vec![], 1));
    assert_eq!(events(&mut machine), ["accept"]);
    machine.issue_recv();
    assert_eq!(steps(&mut machine), [Step::StartRecv]);
}

#[test]
fn what_is_lent_stays_until_the_next_recv() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.lend(bytes(b"lent"));
    assert_eq!(machine.take_lent().as_deref(), Some(&b"lent"[..]));
    machine.lend(bytes(b"lent"));
    machine.issue_recv();
    assert!(machine.take_lent().is_none());
    steps(&mut machine);
    machine.recv_ended(Ok(bytes(b"new")));
    assert!(machine.take_lent().is_none());
    assert_eq!(events(&mut machine), ["recv new"]);
}

#[test]
#[should_panic(expected = "completion of no recv")]
fn a_completion_of_no_recv_asserts() {
    Under::new(Origin::Connected, true).recv_ended(Err(Failure::Again));
}

#[test]
fn a_shortage_pauses_the_operation_and_loses_nothing() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"abc", 1);
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    machine.recv_ended(Err(Failure::Shortage));
    machine.send_ended(Err(Failure::Shortage));
    assert!(machine.shortage_over());
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    machine.send_ended(Ok(1));
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Err(Failure::Shortage));
    // The FIN goes behind what waits, and nothing is tried before there may be memory.
    machine.shutdown_send();
    assert_eq!(steps(&mut machine), []);
    assert!(machine.shortage_over() && !machine.shortage_over());
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Ok(2));
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    assert_eq!(events(&mut machine), ["sent 1 3 Ok(())"]);
}
