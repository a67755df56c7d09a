//! A server that answers wrong, late or not at all is found out, and the exit code is 1.

mod common;

use common::{describe, json, on_each_backend, run, tool};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::thread;
use std::time::Duration;

const SIZE: usize = 64;

/// Runs a load of one connection on a server that serves it by `serve`, written without the library.
fn load_on(serve: impl FnOnce(TcpStream) + Send, backend: &str, more: &[&str]) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address").to_string();
    let arguments = ["load", &address, "--connections", "1", "--json", "--quiet", "--timeout", "1"];
    thread::scope(|scope| {
        scope.spawn(move || serve(listener.accept().expect("a client").0));
        run(tool(backend, &arguments).args(more))
    })
}

fn failed(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(1), "{}", describe(output));
    json(output)
}

/// Echoes messages one by one; `change` may do what it likes with number and message. Ends with the client.
fn echo(mut client: TcpStream, mut change: impl FnMut(usize, &mut [u8])) {
    let mut message = [0; SIZE];
    for number in 0.. {
        if client.read_exact(&mut message).is_err() {
            return;
        }
        change(number, &mut message);
        if client.write_all(&message).is_err() {
            return;
        }
    }
}

#[test]
fn a_wrong_byte_is_counted_and_named() {
    on_each_backend(|backend| {
        let flip = |number, message: &mut [u8]| message[9] ^= u8::from(number == 7);
        let report = failed(&load_on(|client| echo(client, flip), backend, &["--messages", "20"]));
        assert_eq!((&report["errors"]["wrong_messages"], &report["messages"]), (&Value::from(1), &Value::from(19)));
        let first = report["errors"]["first"].as_str().expect("described");
        assert!(first.starts_with("connection 0, message 7, byte 9: "), "{first}");
    });
}

#[test]
fn a_connection_that_ends_early_is_lost() {
    on_each_backend(|backend| {
        let serve = |mut client: TcpStream| {
            let mut message = [0; SIZE];
            client.read_exact(&mut message).expect("one message");
            client.write_all(&message).expect("one answer");
        };
        let report = failed(&load_on(serve, backend, &["--messages", "20"]));
        let errors = &report["errors"];
        assert_eq!((&report["messages"], &errors["lost_connections"]), (&Value::from(1), &Value::from(1)));
        assert_eq!(errors["unanswered_messages"], 19);
    });
}

#[test]
fn a_server_that_never_answers_does_not_hold_the_load_up() {
    on_each_backend(|backend| {
        // Reads until the load gives up and closes.
        let serve = |mut client: TcpStream| assert!(std::io::copy(&mut client, &mut std::io::sink()).is_ok());
        let report = failed(&load_on(serve, backend, &["--messages", "20", "--pipeline", "4"]));
        assert_eq!(
            (&report["messages"], &report["errors"]["unanswered_messages"]),
            (&Value::from(0), &Value::from(20))
        );
        // The four that were sent count with the second that they waited.
        assert!(report["latency_ns"]["min"].as_u64() >= Some(990_000_000), "{report}");
    });
}

#[test]
fn a_server_that_sends_unasked_is_found_out() {
    on_each_backend(|backend| {
        let serve = |mut client: TcpStream| {
            client.write_all(&[b'x'; 3 * SIZE]).expect("sent");
            let _ = std::io::copy(&mut client, &mut std::io::sink());
        };
        let report = failed(&load_on(serve, backend, &["--messages", "1"]));
        let errors = &report["errors"];
        let extra = errors["unexpected_bytes"].as_u64().expect("a number");
        let wrong = errors["wrong_messages"].as_u64().expect("a number");
        assert_eq!(extra + wrong * SIZE as u64, 3 * SIZE as u64, "{report}");
    });
}

#[test]
fn an_open_loop_does_not_hide_a_stall() {
    const STALL: Duration = Duration::from_millis(400);
    on_each_backend(|backend| {
        // One pause in a run of 0.8 s. A closed loop would show it in one message of hundreds.
        let stall = |number, _: &mut [u8]| {
            if number == 100 {
                thread::sleep(STALL);
            }
        };
        let arguments = ["--rate", "1000", "--duration", "0.8", "--pipeline", "8"];
        let output = load_on(|client| echo(client, stall), backend, &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", describe(&output));
        let report = json(&output);
        assert_eq!(report["messages"], 800, "the schedule is kept");
        // About half of the messages became due in the pause, and waited for half of it on average.
        assert!(report["latency_ns"]["max"].as_u64() >= Some(390_000_000), "{report}");
        assert!(report["latency_ns"]["p90"].as_u64() >= Some(200_000_000), "{report}");
    });
}
