//! socket-iocp makes no more calls of the system for a message than a hand-written IOCP loop.
#![cfg(windows)]

use socket_iocp_bench::{CallOptions, Calls, Server, count_calls};

const WAIT: &str = "GetQueuedCompletionStatusEx";

fn count(connections: usize, rounds: usize) -> Vec<(Calls, Calls)> {
    let options = CallOptions { connections, rounds, message_bytes: 64 };
    let report = count_calls(&options, &mut |what| eprintln!("{what}")).expect("echoes");
    assert!(report.missed.is_empty(), "these would have to be counted, or known not to matter: {:?}", report.missed);
    let pairs: Vec<(Calls, Calls)> =
        report.pairs().map(|(yardstick, subject)| (yardstick.clone(), subject.clone())).collect();
    for (yardstick, subject) in &pairs {
        assert_eq!((yardstick.server, subject.server), (Server::Yardstick, Server::Subject));
        assert_eq!((yardstick.mode, yardstick.connections), (subject.mode, subject.connections));
        assert_eq!(yardstick.messages, (yardstick.connections * rounds) as u64);
    }
    pairs
}

#[test]
fn a_message_on_one_connection_takes_no_more_calls_than_by_hand() {
    for (yardstick, subject) in count(1, 100) {
        // Wait, recv, send, and the error that says that the recv is pending.
        assert!(yardstick.all() >= 4 * yardstick.messages, "{yardstick:?}");
        assert!(subject.all() <= yardstick.all(), "{subject:?}\n{yardstick:?}");
    }
}

#[test]
fn a_message_on_one_of_many_connections_takes_no_more_calls_than_by_hand() {
    for (yardstick, subject) in count(50, 20) {
        // How many completions a wait finds hangs on who is faster. So each wait is to have found some.
        let but_waits = |calls: &Calls| calls.all() - calls.of(WAIT);
        assert!(but_waits(&subject) <= but_waits(&yardstick), "{subject:?}\n{yardstick:?}");
        assert!(subject.of(WAIT) <= subject.completions, "{subject:?}");
        assert!(subject.completions <= yardstick.completions, "{subject:?}\n{yardstick:?}");
    }
}
