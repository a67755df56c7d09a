//! How the examples start and end.

use crate::on_each_backend;
use crate::platform::{IN_USE, INTERRUPTS, Killer, send};
use crate::server::{CHAT, ECHO, FILE, HTTP, KEEPALIVE, REDIS, Server};
use std::ffi::OsStr;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

on_each_backend!(a_signal_ends_a_server_cleanly);

/// Every example, with the arguments that follow its address.
const ALL: [(&str, &[&str]); 6] =
    [(ECHO, &[]), (CHAT, &[]), (FILE, &["Cargo.toml"]), (HTTP, &["."]), (KEEPALIVE, &["30000"]), (REDIS, &[])];

fn a_signal_ends_a_server_cleanly(backend: &str) {
    for (program, arguments) in ALL {
        for interrupt in INTERRUPTS {
            let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
            let mut server = Server::start(backend, program, &arguments);
            let client = server.connect();
            send(*interrupt, &server.child);
            assert_eq!(exit_code(&mut server), Some(0), "{program} {interrupt:?}");
            drop(client);
        }
    }
}

/// Waits for the end of a server, within the limit: its drop kills it when the time has passed.
pub fn exit_code(server: &mut Server) -> Option<i32> {
    let killer = Killer::of(&server.child);
    let (ended, end) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        if end.recv_timeout(crate::server::LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Then the code is another.
            killer.kill();
        }
    });
    let status = server.child.wait().expect("a child of this process");
    drop(ended);
    guard.join().expect("no panic");
    status.code()
}

/// Runs an example that is to refuse, and checks that it says so in one line.
fn refusal(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("a program");
    let line = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{program} {arguments:?}: {line}");
    assert_eq!(line.lines().count(), 1, "{program} {arguments:?}: {line}");
    assert!(output.stdout.is_empty());
    line
}

#[test]
fn wrong_arguments_give_one_line_and_exit_code_2() {
    for (program, arguments) in ALL {
        let with_address = |address| [&[address], arguments].concat();
        assert!(refusal(program, &[]).starts_with("usage: "));
        assert!(refusal(program, &["--help"]).starts_with("usage: "));
        assert!(refusal(program, &[&with_address("127.0.0.1:0")[..], &["more"]].concat()).starts_with("usage: "));
        assert!(refusal(program, &with_address("nonsense")).starts_with("cannot listen on nonsense: "));
        assert!(refusal(program, &with_address("127.0.0.1:65536")).starts_with("cannot listen on "));
    }
    assert!(refusal(HTTP, &["127.0.0.1:0", "no/such/directory"]).starts_with("cannot serve no/such/directory: "));
}

#[test]
fn an_address_in_use_gives_one_line_and_exit_code_2() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    for (program, arguments) in ALL {
        let line = refusal(program, &[&[address.as_str()], arguments].concat());
        assert!(line.contains(IN_USE), "{line}");
    }
}
