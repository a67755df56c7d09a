//! The commands, and what clients ask at their start.

use crate::resp::{write_array, write_bulk, write_error, write_integer, write_text};
use crate::store::{NotIncremented, Store};

/// Bytes of a name that an error message repeats at most.
const MAX_NAME_SHOWN: usize = 64;

/// What becomes of the connection.
#[derive(PartialEq, Eq, Debug)]
pub enum Outcome {
    GoOn,
    Quit,
}

/// Runs one command and appends its reply.
pub fn run(store: &Store, command: &[&[u8]], out: &mut Vec<u8>) -> Outcome {
    let Some((name, arguments)) = command.split_first() else { return Outcome::GoOn };
    let upper = name.to_ascii_uppercase();
    match (upper.as_slice(), arguments) {
        (b"PING", []) => write_text(out, "PONG"),
        (b"PING" | b"ECHO", [message]) => write_bulk(out, Some(message)),
        (b"GET", [key]) => store.get(key, |value| write_bulk(out, value)),
        (b"SET", [key, value]) => {
            store.set(key, value);
            write_text(out, "OK");
        }
        // Its options (NX, EX and the like) are not known here.
        (b"SET", [_, _, ..]) => write_error(out, "ERR syntax error"),
        // Each key by itself: another client may see some deleted and others not yet.
        (b"DEL", [_, ..]) => write_integer(out, arguments.iter().map(|key| i64::from(store.delete(key))).sum()),
        (b"INCR", [key]) => increment(store, key, out),
        (b"HELLO", _) => hello(arguments, out),
        (b"SELECT", [b"0"]) => write_text(out, "OK"),
        (b"SELECT", [_]) => write_error(out, "ERR DB index is out of range"),
        (b"CONFIG", [what, name]) if what.eq_ignore_ascii_case(b"get") => {
            write_array(out, 2);
            write_bulk(out, Some(name));
            write_bulk(out, Some(b""));
        }
        // What redis-cli asks for its help and hints: none to be had.
        (b"COMMAND", _) => write_array(out, 0),
        (b"INFO", _) => write_bulk(out, Some(b"# Server\r\nredis_mode:standalone\r\n")),
        (b"QUIT", _) => {
            write_text(out, "OK");
            return Outcome::Quit;
        }
        (b"PING" | b"ECHO" | b"GET" | b"SET" | b"DEL" | b"INCR" | b"SELECT", _) => {
            let name = upper.to_ascii_lowercase();
            write_error(out, &format!("ERR wrong number of arguments for '{}' command", shown(&name)));
        }
        _ => write_error(out, &format!("ERR unknown command '{}'", shown(name))),
    }
    Outcome::GoOn
}

fn increment(store: &Store, key: &[u8], out: &mut Vec<u8>) {
    match store.increment(key) {
        Ok(value) => write_integer(out, value),
        Err(NotIncremented::NotInteger) => write_error(out, "ERR value is not an integer or out of range"),
        Err(NotIncremented::Overflow) => write_error(out, "ERR increment or decrement would overflow"),
    }
}

/// Version 2 of the protocol is all there is; a client that wants 3 hears it from the error and stays with 2.
fn hello(arguments: &[&[u8]], out: &mut Vec<u8>) {
    match arguments {
        [] | [b"2"] => {
            write_array(out, 6);
            for text in ["server", "socket-iocp", "mode", "standalone", "proto"] {
                write_bulk(out, Some(text.as_bytes()));
            }
            write_integer(out, 2);
        }
        [_] => write_error(out, "NOPROTO unsupported protocol version"),
        _ => write_error(out, "ERR syntax error"),
    }
}

/// A name from a client, fit for a line.
fn shown(name: &[u8]) -> String {
    let name = &name[..name.len().min(MAX_NAME_SHOWN)];
    String::from_utf8_lossy(name).chars().map(|shown| if shown.is_control() { '?' } else { shown }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(store: &Store, command: &[&str]) -> String {
        let arguments: Vec<&[u8]> = command.iter().map(|argument| argument.as_bytes()).collect();
        let mut out = Vec::new();
        assert_eq!(run(store, &arguments, &mut out), Outcome::GoOn);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn commands_have_the_replies_of_redis() {
        let store = Store::default();
        for (command, expected) in [
            (&["ping"][..], "+PONG\r\n"),
            (&["PING", "a"], "$1\r\na\r\n"),
            (&["ECHO", ""], "$0\r\n\r\n"),
            (&["GET", "k"], "$-1\r\n"),
            (&["SET", "k", "v"], "+OK\r\n"),
            (&["GET", "k"], "$1\r\nv\r\n"),
            (&["INCR", "k"], "-ERR value is not an integer or out of range\r\n"),
            (&["INCR", "n"], ":1\r\n"),
            (&["DEL", "k", "n", "none"], ":2\r\n"),
            (&["SET", "k", "v", "NX"], "-ERR syntax error\r\n"),
            (&["GET"], "-ERR wrong number of arguments for 'get' command\r\n"),
            (&["FLY\r\n+OK"], "-ERR unknown command 'FLY??+OK'\r\n"),
            (&["CONFIG", "GET", "save"], "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"),
            (&["HELLO", "3"], "-NOPROTO unsupported protocol version\r\n"),
            (&[], ""),
        ] {
            assert_eq!(reply(&store, command), expected, "{command:?}");
        }
    }

    #[test]
    fn quit_is_answered_first() {
        let mut out = Vec::new();
        assert_eq!(run(&Store::default(), &[b"quit"], &mut out), Outcome::Quit);
        assert_eq!(out, b"+OK\r\n");
    }
}
