//! The parser of the redis example.

use crate::pieces::{Parsed, parse_in_pieces};
use crate::resp_parser::{self, Command, MAX_ARGUMENTS, MAX_COMMAND, MAX_INLINE, ProtocolError};

/// A command with its own arguments, or why there is none.
type Found = Result<Vec<Vec<u8>>, ProtocolError>;

/// Commands are the same however they arrive, within their bounds; they stand in the input as the protocol has it; and they
/// are the same again when they are written as Redis clients write them.
pub fn resp(input: &[u8]) {
    let found: Vec<Found> = parse_in_pieces(input, MAX_COMMAND, |input| match resp_parser::parse(input) {
        Ok(Some(Command { arguments, length })) => {
            let taken = &input[..length];
            let stands = if taken[0] == b'*' { is_array(taken, &arguments) } else { is_line(taken) };
            assert!(stands, "{arguments:?} is not what stands in {taken:?}");
            Parsed::Whole(Ok(owned(&arguments)), length)
        }
        Ok(None) => Parsed::More,
        Err(error) => Parsed::Wrong(Err(error)),
    });
    found.iter().flatten().for_each(|arguments| check_written(arguments));
}

fn owned(arguments: &[&[u8]]) -> Vec<Vec<u8>> {
    arguments.iter().map(|argument| argument.to_vec()).collect()
}

/// Whether these bytes are an array of these bulk strings, and nothing else.
fn is_array(bytes: &[u8], arguments: &[&[u8]]) -> bool {
    let bulk_string = |rest, argument: &&[u8]| {
        let rest: &[u8] = after_header(rest, b'$', argument.len())?;
        rest.strip_prefix(*argument)?.strip_prefix(b"\r\n")
    };
    let start = after_header(bytes, b'*', arguments.len());
    let rest = start.and_then(|start| arguments.iter().try_fold(start, bulk_string));
    arguments.len() <= MAX_ARGUMENTS && rest == Some(b"")
}

/// What follows the line with this kind and number.
fn after_header(bytes: &[u8], kind: u8, number: usize) -> Option<&[u8]> {
    let line = bytes.split_inclusive(|byte| *byte == b'\n').next()?;
    let digits = line.strip_prefix(&[kind])?.strip_suffix(b"\r\n")?;
    let given: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (given == number).then(|| &bytes[line.len()..])
}

fn is_line(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_INLINE && bytes.iter().position(|byte| *byte == b'\n') == Some(bytes.len() - 1)
}

/// The command as an array of bulk strings, by the writers of the replies, is read again as it was.
fn check_written(arguments: &[Vec<u8>]) {
    // A line may have more words than an array may have arguments.
    if arguments.len() > MAX_ARGUMENTS {
        return;
    }
    let mut written = Vec::new();
    resp_parser::write_array(&mut written, arguments.len());
    arguments.iter().for_each(|argument| resp_parser::write_bulk(&mut written, Some(argument)));
    let again = resp_parser::parse(&written).expect("no error").expect("a whole command");
    assert_eq!((owned(&again.arguments).as_slice(), again.length), (arguments, written.len()));
}
