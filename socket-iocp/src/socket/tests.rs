//! The rules of the contract, on the state machine alone.

mod datagrams;
mod files;
mod watermarks;

use super::*;
use crate::buffer::BufferPool;
use crate::send_queue::Work;
use crate::sys::errno;

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

const RESET: Failure = Failure::Os(errno::ECONNRESET);

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
fn a_shutdown_waits_for_what_is_queued_or_on_its_way() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"ab", 1);
    machine.shutdown_send();
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Ok(2));
    assert_eq!(steps_in_transit(&mut machine, true), []);
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    machine.issue_recv();
    assert_eq!(steps(&mut machine), [Step::StartRecv]);
}

#[test]
fn a_close_sends_then_fins_then_discards_up_to_the_peers_fin() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"ab", 1);
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    assert!(machine.close() && !machine.close());
    machine.recv_ended(Ok(bytes(b"unread")));
    assert_eq!(steps(&mut machine), [Step::StartRecv]);
    machine.send_ended(Ok(2));
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    assert_eq!(events(&mut machine), ["sent 1 2 Ok(())"]);
    machine.recv_ended(Ok(ReadBuffer::empty()));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Ok(()) Background"]);
}

#[test]
fn a_close_after_the_peers_fin_reads_no_more() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.recv_ended(Ok(ReadBuffer::empty()));
    machine.close();
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    assert_eq!(events(&mut machine), ["recv ", "farewell Ok(()) Background"]);
}

#[test]
fn what_was_received_before_a_close_is_reported() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.recv_ended(Ok(bytes(b"kept")));
    machine.close();
    assert_eq!(events(&mut machine), ["recv kept"]);
    assert_eq!(steps(&mut machine), [Step::ShutdownSend, Step::StartRecv]);
}

#[test]
fn the_linger_limit_cancels_what_is_unsent() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"ab", 1);
    send(&mut machine, b"cd", 2);
    steps(&mut machine);
    machine.close();
    steps(&mut machine);
    machine.linger_ended();
    assert_eq!(steps(&mut machine), [Step::CancelRecv, Step::CancelSend]);
    machine.recv_ended(Err(Failure::Cancelled));
    machine.send_ended(Ok(3));
    assert_eq!(steps(&mut machine), []);
    let last = "farewell Err(TimedOut) Reset";
    assert_eq!(events(&mut machine), ["sent 1 2 Ok(())", "sent 2 1 Err(Cancelled)", last]);
}

/// How many intervals pass until the machine ends, up to 20.
fn intervals_until_the_end(machine: &mut Under, limit: u8) -> usize {
    let passes = |machine: &mut Under| {
        machine.interval_passed(limit);
        !machine.is_ending()
    };
    (0..20).take_while(|_| passes(machine)).count()
}

#[test]
fn a_peer_that_sends_nothing_is_idle() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    assert!(machine.awaits_peer());
    assert_eq!(intervals_until_the_end(&mut machine, 8), 8);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.recv_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Err(TimedOut) Reset"]);
}

#[test]
fn a_peer_that_takes_nothing_is_idle_whatever_it_sends() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"ab", 1);
    steps(&mut machine);
    for _ in 0..8 {
        machine.issue_recv();
        steps(&mut machine);
        machine.interval_passed(8);
        machine.recv_ended(Ok(bytes(b"x")));
        assert_eq!(events(&mut machine), ["recv x"]);
        assert!(!machine.is_ending());
    }
    machine.interval_passed(8);
    assert_eq!(steps(&mut machine), [Step::CancelSend]);
    machine.send_ended(Ok(1));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 1 Err(Cancelled)", "farewell Err(TimedOut) Reset"]);
}

#[test]
fn every_byte_begins_the_idle_time_anew() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"abc", 1);
    for _ in 0..3 {
        assert!(steps(&mut machine).contains(&Step::StartSend));
        assert!((0..8).all(|_| !machine.interval_passed(8)));
        machine.send_ended(Ok(1));
    }
    assert_eq!(events(&mut machine), ["sent 1 3 Ok(())"]);
    assert!((0..8).all(|_| !machine.interval_passed(8)));
    machine.recv_ended(Ok(bytes(b"x")));
    assert_eq!(events(&mut machine), ["recv x"]);
    // With nothing outstanding time does not count; from the next recv on it does.
    assert!(!machine.awaits_peer());
    assert_eq!(intervals_until_the_end(&mut machine, 8), 20);
    machine.issue_recv();
    assert_eq!(intervals_until_the_end(&mut machine, 8), 8);
}

#[test]
fn a_closing_socket_is_not_idle() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"ab", 1);
    machine.close();
    steps(&mut machine);
    assert!(!machine.awaits_peer());
    assert_eq!(intervals_until_the_end(&mut machine, 8), 20);
}

#[test]
fn an_abort_cancels_and_waits_for_the_kernel() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"ab", 1);
    steps(&mut machine);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), [Step::CancelRecv, Step::CancelSend]);
    machine.send_ended(Err(Failure::Cancelled));
    assert_eq!((steps(&mut machine), events(&mut machine)), (vec![], vec![]));
    machine.recv_ended(Err(Failure::Again));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Err(Cancelled) Reset"]);
}

#[test]
fn an_abort_overrides_a_close() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.close();
    steps(&mut machine);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.recv_ended(Err(Failure::Cancelled));
    steps(&mut machine);
    assert_eq!(events(&mut machine), ["farewell Err(Cancelled) Reset"]);
}

#[test]
fn a_recv_that_beat_the_cancel_is_reported_before_the_farewell() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.end(None, Close::HandBack);
    steps(&mut machine);
    machine.recv_ended(Ok(bytes(b"last")));
    steps(&mut machine);
    assert_eq!(events(&mut machine), ["recv last", "farewell Ok(()) HandBack"]);
}

#[test]
fn a_farewell_waits_for_claims_in_transit() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.end(None, Close::HandBack);
    assert_eq!(steps_in_transit(&mut machine, true), []);
    assert_eq!(events(&mut machine), Vec::<String>::new());
    send(&mut machine, b"late", 9);
    machine.issue_recv();
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 9 0 Err(Cancelled)", "farewell Ok(()) HandBack"]);
}

#[test]
fn a_failed_recv_ends_the_socket() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    send(&mut machine, b"ab", 1);
    steps(&mut machine);
    machine.recv_ended(Err(RESET));
    assert_eq!(steps(&mut machine), [Step::CancelSend]);
    machine.send_ended(Err(Failure::Os(errno::EPIPE)));
    steps(&mut machine);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Err(Reset) Background"]);
}

#[test]
fn a_failed_send_names_its_cause() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"ab", 1);
    send(&mut machine, b"cd", 2);
    steps(&mut machine);
    machine.send_ended(Err(RESET));
    steps(&mut machine);
    let farewell = "farewell Err(Reset) Background";
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Reset)", "sent 2 0 Err(Cancelled)", farewell]);
}

#[test]
fn a_broken_pipe_is_a_reset_on_the_internet_only() {
    for (internet, code) in [(true, "Reset"), (false, "BrokenPipe")] {
        let mut machine = Under::new(Origin::Connected, internet);
        send(&mut machine, b"ab", 1);
        steps(&mut machine);
        machine.send_ended(Err(Failure::Os(errno::EPIPE)));
        steps(&mut machine);
        let sent = format!("sent 1 0 Err({code})");
        assert_eq!(events(&mut machine), [sent, format!("farewell Err({code}) Background")]);
        assert_eq!(machine.ending().0.expect_err("a failure").os_error(), Some(errno::EPIPE));
    }
}

#[test]
fn a_foreign_close_overrides_how_the_descriptor_ends() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    machine.end_foreign();
    steps(&mut machine);
    assert_eq!(events(&mut machine), ["farewell Err(Cancelled) Never"]);
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

#[test]
fn an_end_does_not_wait_for_memory() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"abc", 1);
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Err(Failure::Shortage));
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Err(Cancelled) Reset"]);
}

#[test]
fn a_removal_that_has_nothing_to_hand_back_says_so() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.end(None, Close::HandBack);
    machine.end_foreign();
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Err(ForeignClose) Never"]);
}

#[test]
fn a_recv_that_is_stopped_ends_alone() {
    for why in [Stop::Cancelled, Stop::TimedOut] {
        let mut machine = Under::new(Origin::Connected, true);
        machine.issue_recv();
        assert_eq!(steps(&mut machine), [Step::StartRecv]);
        machine.stop_recv(why);
        machine.stop_recv(Stop::Cancelled);
        assert_eq!(steps(&mut machine), [Step::CancelRecv]);
        machine.recv_ended(Err(Failure::Cancelled));
        assert_eq!(events(&mut machine), [format!("recv {:?}", why.code())]);
        machine.issue_recv();
        assert_eq!(steps(&mut machine), [Step::StartRecv]);
        machine.recv_ended(Ok(bytes(b"abc")));
        assert_eq!(events(&mut machine), ["recv abc"]);
    }
}

#[test]
fn a_recv_stopped_before_it_starts_needs_no_kernel() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    machine.stop_recv(Stop::Cancelled);
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["recv Cancelled"]);
}

#[test]
fn bytes_that_beat_the_cancel_are_bytes() {
    for (result, event) in [(&b"abc"[..], "recv abc"), (b"", "recv ")] {
        let mut machine = Under::new(Origin::Connected, true);
        machine.issue_recv();
        steps(&mut machine);
        machine.stop_recv(Stop::TimedOut);
        steps(&mut machine);
        let buffer = if result.is_empty() { ReadBuffer::empty() } else { bytes(result) };
        machine.recv_ended(Ok(buffer));
        machine.stop_recv(Stop::Cancelled);
        assert_eq!(steps(&mut machine), []);
        assert_eq!(events(&mut machine), [event]);
    }
}

#[test]
fn a_readiness_that_crosses_a_cancel_ends_the_recv() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.stop_recv(Stop::Cancelled);
    machine.ready(true, false);
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["recv Cancelled"]);
}

#[test]
fn an_ending_overrides_a_cancel() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.stop_recv(Stop::Cancelled);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), []);
    machine.recv_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Err(Cancelled) Reset"]);
}

#[test]
fn a_graceful_close_reads_on_after_a_cancel() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_recv();
    steps(&mut machine);
    machine.stop_recv(Stop::Cancelled);
    assert_eq!(steps(&mut machine), [Step::CancelRecv]);
    machine.close();
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    machine.recv_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), [Step::StartRecv]);
    machine.recv_ended(Ok(ReadBuffer::empty()));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Ok(()) Background"]);
}

#[test]
fn a_cancelled_send_lets_those_behind_it_go_on() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"abc", 1);
    send(&mut machine, b"def", 2);
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    assert_eq!(machine.cancel_sends(|write| *write == 1), 1);
    assert_eq!(steps(&mut machine), [Step::CancelSend]);
    machine.send_ended(Ok(2));
    assert_eq!(events(&mut machine), ["sent 1 2 Err(Cancelled)"]);
    assert_eq!(steps(&mut machine), [Step::StartSend]);
    machine.send_ended(Ok(3));
    assert_eq!(events(&mut machine), ["sent 2 3 Ok(())"]);
}

#[test]
fn an_end_that_comes_upon_a_cancel_cancels_no_second_time() {
    let mut machine = Under::new(Origin::Connected, true);
    send(&mut machine, b"abc", 1);
    send(&mut machine, b"def", 2);
    steps(&mut machine);
    machine.cancel_sends(|_| true);
    assert_eq!(steps(&mut machine), [Step::CancelSend]);
    machine.end(None, Close::HandBack);
    assert_eq!(steps(&mut machine), []);
    machine.send_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    let cancelled = ["sent 1 0 Err(Cancelled)", "sent 2 0 Err(Cancelled)", "farewell Ok(()) HandBack"];
    assert_eq!(events(&mut machine), cancelled);
}

#[test]
fn a_timer_has_one_callback() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_timer();
    assert!(machine.timer_runs() && !machine.has_event());
    machine.timer_passed();
    machine.cancel_timer();
    assert_eq!(events(&mut machine), ["timer Ok(())"]);
    machine.timer_passed();
    assert_eq!(events(&mut machine), Vec::<String>::new());
    machine.issue_timer();
    machine.cancel_timer();
    assert_eq!(events(&mut machine), ["timer Err(Cancelled)"]);
}

#[test]
fn a_timer_is_reported_before_the_farewell() {
    let mut machine = Under::new(Origin::Connected, true);
    machine.issue_timer();
    machine.end(None, Close::HandBack);
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["timer Err(Cancelled)", "farewell Ok(()) HandBack"]);
}

#[test]
fn nothing_is_started_before_the_connect_has_ended() {
    let mut machine = Under::new(Origin::Unconnected, true);
    machine.issue_recv();
    send(&mut machine, b"early", 1);
    machine.shutdown_send();
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    assert!(!machine.awaits_peer());
    machine.connect_ended(Err(Failure::Again));
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.connect_ended(Ok(()));
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    machine.send_ended(Ok(5));
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    assert_eq!(events(&mut machine), ["connected", "sent 1 5 Ok(())"]);
}

#[test]
fn a_connect_that_fails_is_told_by_the_farewell_alone() {
    let mut machine = Under::new(Origin::Unconnected, true);
    machine.issue_recv();
    send(&mut machine, b"in vain", 1);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.connect_ended(Err(Failure::Os(errno::ECONNREFUSED)));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Err(Refused) Background"]);
}

#[test]
fn a_connect_that_beats_its_cancel_is_told() {
    for (result, told) in [(Ok(()), true), (Err(Failure::Cancelled), false), (Err(Failure::Again), false)] {
        let mut machine = Under::new(Origin::Unconnected, true);
        assert_eq!(steps(&mut machine), [Step::StartConnect]);
        machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
        assert_eq!(steps(&mut machine), [Step::CancelConnect]);
        assert_eq!(events(&mut machine), [""; 0]);
        machine.connect_ended(result);
        assert_eq!(steps(&mut machine), []);
        let farewell = "farewell Err(Cancelled) Reset";
        let expected = if told { vec!["connected", farewell] } else { vec![farewell] };
        assert_eq!(events(&mut machine), expected);
    }
}

#[test]
fn a_close_waits_for_a_connect_only_to_send() {
    let mut machine = Under::new(Origin::Unconnected, true);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    assert!(machine.close());
    assert_eq!(steps(&mut machine), [Step::CancelConnect]);
    machine.connect_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Ok(()) Background"]);

    let mut machine = Under::new(Origin::Unconnected, true);
    send(&mut machine, b"last words", 1);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    assert!(machine.close());
    machine.connect_ended(Ok(()));
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    machine.send_ended(Ok(10));
    assert_eq!(steps(&mut machine), [Step::ShutdownSend]);
    assert_eq!(events(&mut machine), ["connected", "sent 1 10 Ok(())"]);
}

#[test]
fn a_send_of_no_bytes_waits_for_the_connect_too() {
    let mut machine = Under::new(Origin::Unconnected, true);
    send(&mut machine, b"", 1);
    send(&mut machine, b"cut", 2);
    send(&mut machine, b"", 3);
    send(&mut machine, b"", 4);
    assert_eq!(machine.cancel_sends(|write| *write == 2), 1);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    assert_eq!(events(&mut machine), ["sent 2 0 Err(Cancelled)"]);
    machine.connect_ended(Ok(()));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["connected", "sent 1 0 Ok(())", "sent 3 0 Ok(())", "sent 4 0 Ok(())"]);

    let mut machine = Under::new(Origin::Unconnected, true);
    send(&mut machine, b"", 1);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.end(Some(ErrorCode::Cancelled.into()), Close::Reset);
    assert_eq!(steps(&mut machine), [Step::CancelConnect]);
    machine.connect_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Err(Cancelled) Reset"]);
}

#[test]
fn a_connect_that_takes_too_long_ends_by_reset() {
    let mut machine = Under::new(Origin::Unconnected, true);
    send(&mut machine, b"never", 1);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.connect_timed_out();
    assert_eq!(steps(&mut machine), [Step::CancelConnect]);
    // It has beaten its cancel: the peer must not take what follows for the end of what it was to be sent.
    machine.connect_ended(Ok(()));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["connected", "sent 1 0 Err(Cancelled)", "farewell Err(TimedOut) Reset"]);
}

#[test]
fn a_connect_that_is_cancelled_ends_the_socket_unless_it_has_succeeded() {
    let ends = ["sent 1 0 Err(Cancelled)", "farewell Err(Cancelled) Reset"];
    // One that the kernel does not have yet.
    let mut machine = Under::new(Origin::Unconnected, true);
    send(&mut machine, b"in vain", 1);
    machine.cancel_connect();
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ends);

    // One that goes on without effect counts as cancelled, too.
    for result in [Err(Failure::Cancelled), Err(Failure::Again)] {
        let mut machine = Under::new(Origin::Unconnected, true);
        send(&mut machine, b"in vain", 1);
        assert_eq!(steps(&mut machine), [Step::StartConnect]);
        machine.cancel_connect();
        assert_eq!(steps(&mut machine), [Step::CancelConnect]);
        assert_eq!(events(&mut machine), [""; 0]);
        machine.connect_ended(result);
        assert_eq!(steps(&mut machine), []);
        assert_eq!(events(&mut machine), ends);
    }

    let mut machine = Under::new(Origin::Unconnected, true);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.cancel_connect();
    machine.connect_ended(Ok(()));
    machine.cancel_connect();
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["connected"]);
    machine.cancel_connect();
    machine.issue_recv();
    assert_eq!((steps(&mut machine), machine.is_ending()), (vec![Step::StartRecv], false));
}

#[test]
fn a_cancelled_connect_that_fails_says_how_and_an_end_overtakes_it() {
    let mut machine = Under::new(Origin::Unconnected, true);
    assert_eq!(steps(&mut machine), [Step::StartConnect]);
    machine.cancel_connect();
    assert_eq!(steps(&mut machine), [Step::CancelConnect]);
    machine.connect_ended(Err(Failure::Os(errno::ECONNREFUSED)));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Err(Refused) Background"]);

    for told in [false, true] {
        let mut machine = Under::new(Origin::Unconnected, true);
        assert_eq!(steps(&mut machine), [Step::StartConnect]);
        machine.cancel_connect();
        let seen = if told { vec![Step::CancelConnect] } else { vec![] };
        assert_eq!(if told { steps(&mut machine) } else { vec![] }, seen);
        machine.end(None, Close::HandBack);
        // It is cancelled once.
        assert_eq!(steps(&mut machine).len(), usize::from(!told));
        machine.connect_ended(Err(Failure::Cancelled));
        assert_eq!(steps(&mut machine), []);
        assert_eq!(events(&mut machine), ["farewell Ok(()) HandBack"]);
    }
}

#[test]
fn a_socket_that_is_connected_elsewhere_waits_for_that_and_for_nothing_else() {
    let mut machine = Under::new(Origin::ByHost, false);
    machine.issue_recv();
    send(&mut machine, b"hello", 1);
    assert_eq!((steps(&mut machine), machine.awaits_host()), (vec![], true));
    machine.host_ended(Ok(()));
    assert!(!machine.awaits_host());
    assert_eq!(steps(&mut machine), [Step::StartSend, Step::StartRecv]);
    machine.send_ended(Ok(5));
    assert_eq!(events(&mut machine), ["connected", "sent 1 5 Ok(())"]);
    // It is of the internet: its resets are resets.
    machine.recv_ended(Err(Failure::Os(errno::EPIPE)));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["farewell Err(Reset) Background"]);
}

#[test]
fn a_socket_that_is_connected_elsewhere_ends_without_waiting() {
    type End = fn(&mut Under);
    let ends: [(End, &str); 5] = [
        (Under::cancel_connect, "farewell Err(Cancelled) Reset"),
        (Under::connect_timed_out, "farewell Err(TimedOut) Reset"),
        (|machine| machine.end(None, Close::HandBack), "farewell Ok(()) HandBack"),
        (|machine| assert!(machine.close()), "farewell Ok(()) Background"),
        (|machine| machine.host_ended(Err(ErrorCode::Unresolved.into())), "farewell Err(Unresolved) Background"),
    ];
    for (end, farewell) in ends {
        let mut machine = Under::new(Origin::ByHost, false);
        machine.issue_recv();
        assert_eq!(steps(&mut machine), []);
        end(&mut machine);
        assert_eq!(steps(&mut machine), []);
        assert!(!machine.awaits_host());
        assert_eq!(events(&mut machine), [farewell]);
    }
}

#[test]
fn a_close_that_overtakes_a_send_waits_for_it_and_for_the_connect() {
    let mut machine = Under::new(Origin::Unconnected, true);
    assert!(machine.close());
    assert_eq!(steps_in_transit(&mut machine, true), [Step::StartConnect]);
    send(&mut machine, b"late", 1);
    assert_eq!(steps(&mut machine), []);
    // With its cancel nothing is left to be sent.
    assert_eq!(machine.cancel_sends(|_| true), 1);
    assert_eq!(steps(&mut machine), [Step::CancelConnect]);
    machine.connect_ended(Err(Failure::Cancelled));
    assert_eq!(steps(&mut machine), []);
    assert_eq!(events(&mut machine), ["sent 1 0 Err(Cancelled)", "farewell Ok(()) Background"]);
}
