//! The parser of the redis example.

use crate::pieces::{Parsed, parse_in_pieces};
use crate::resp_parser::{self, Command, MAX_ARGUMENTS, MAX_COMMAND, ProtocolError};

/// A command with its own arguments, or why there is none.
type Found = Result<Vec<Vec<u8>>, ProtocolError>;

/// Commands are the same however they arrive, within their bounds, and the same again when they are written as Redis
/// clients write them.
pub fn resp(input: &[u8]) {
    let found: Vec<Found> = parse_in_pieces(input, MAX_COMMAND, |input| match resp_parser::parse(input) {
        Ok(Some(Command { arguments, length })) => Parsed::Whole(Ok(owned(&arguments)), length),
        Ok(None) => Parsed::More,
        Err(error) => Parsed::Wrong(Err(error)),
    });
    found.iter().flatten().for_each(|arguments| check(arguments));
}

fn owned(arguments: &[&[u8]]) -> Vec<Vec<u8>> {
    arguments.iter().map(|argument| argument.to_vec()).collect()
}

/// The words of a line are at most as many as its bytes, the arguments of an array at most [`MAX_ARGUMENTS`].
fn check(arguments: &[Vec<u8>]) {
    assert!(arguments.len() <= MAX_ARGUMENTS.max(resp_parser::MAX_INLINE), "{} arguments", arguments.len());
    if arguments.len() <= MAX_ARGUMENTS {
        let written = written(arguments);
        let again = resp_parser::parse(&written).expect("no error").expect("a whole command");
        assert_eq!((owned(&again.arguments).as_slice(), again.length), (arguments, written.len()));
    }
}

/// The command as an array of bulk strings, by the writers of the replies.
fn written(arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    resp_parser::write_array(&mut out, arguments.len());
    arguments.iter().for_each(|argument| resp_parser::write_bulk(&mut out, Some(argument)));
    out
}
