//! RESP2, as far as a server needs it: commands in, replies out.
//!
//! A parser of our own, because it has to be bounded: how long a command and how many arguments it may have is decided
//! before anything is kept for it, and nothing nests.

use std::fmt;
use std::io::Write;

/// Bytes of a command at most, its headers included.
pub const MAX_COMMAND: usize = 1 << 20;
/// Arguments of a command at most, its name included.
pub const MAX_ARGUMENTS: usize = 1024;
/// Bytes of an inline command at most, its end included.
pub const MAX_INLINE: usize = 4096;
/// Bytes of a header (`*3` or `$10`) at most, its end included.
const MAX_HEADER: usize = 16;

/// One command; with no arguments at all it asks for nothing and has no reply.
#[derive(PartialEq, Eq, Debug)]
pub struct Command<'a> {
    pub arguments: Vec<&'a [u8]>,
    /// Bytes that it takes of the input.
    pub length: usize,
}

/// Why what came in is no command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProtocolError {
    Count,
    BulkLength,
    Bulk,
    Inline,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolError::Count => "invalid multibulk length",
            ProtocolError::BulkLength => "invalid bulk length",
            ProtocolError::Bulk => "expected a bulk string",
            ProtocolError::Inline => "too big inline request",
        })
    }
}

/// Reads the command at the beginning of `input`; `None` if it is not there as a whole.
///
/// A command is an array of bulk strings, or else a line of words (there is no quoting).
pub fn parse(input: &[u8]) -> Result<Option<Command<'_>>, ProtocolError> {
    if input.first().is_some_and(|first| *first != b'*') {
        return parse_inline(input);
    }
    let Some((count, mut at)) = header(input, b'*', ProtocolError::Count)? else { return Ok(None) };
    if count > MAX_ARGUMENTS {
        return Err(ProtocolError::Count);
    }
    let mut arguments = Vec::new();
    for _ in 0..count {
        let Some((length, header_length)) = header(&input[at..], b'$', ProtocolError::Bulk)? else { return Ok(None) };
        let start = at + header_length;
        let end = start.checked_add(length).ok_or(ProtocolError::BulkLength)?;
        if end + 2 > MAX_COMMAND {
            return Err(ProtocolError::BulkLength);
        }
        match input.get(end..end + 2) {
            None => return Ok(None),
            Some(b"\r\n") => arguments.push(&input[start..end]),
            Some(_) => return Err(ProtocolError::Bulk),
        }
        at = end + 2;
    }
    Ok(Some(Command { arguments, length: at }))
}

/// Reads a kind and a number, up to the end of the line; gives the number and the bytes taken.
fn header(input: &[u8], kind: u8, wrong: ProtocolError) -> Result<Option<(usize, usize)>, ProtocolError> {
    let line = &input[..input.len().min(MAX_HEADER)];
    if line.first().is_some_and(|first| *first != kind) {
        return Err(wrong);
    }
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if line.len() == MAX_HEADER { Err(wrong) } else { Ok(None) };
    };
    let digits = line[1..end].strip_suffix(b"\r").ok_or(wrong)?;
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| is_number).and_then(|digits| digits.parse().ok());
    Ok(Some((number.ok_or(wrong)?, end + 1)))
}

fn parse_inline(input: &[u8]) -> Result<Option<Command<'_>>, ProtocolError> {
    let line = &input[..input.len().min(MAX_INLINE)];
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if line.len() == MAX_INLINE { Err(ProtocolError::Inline) } else { Ok(None) };
    };
    let words = line[..end].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    Ok(Some(Command { arguments: words.collect(), length: end + 1 }))
}

/// A short text, as `+OK`.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    write_line(out, '+', text);
}

/// An error: its code in capitals, then the reason. No line end may be in it.
pub fn write_error(out: &mut Vec<u8>, text: &str) {
    write_line(out, '-', text);
}

/// An integer.
pub fn write_integer(out: &mut Vec<u8>, integer: i64) {
    write_line(out, ':', integer);
}

/// The beginning of an array; its elements follow.
pub fn write_array(out: &mut Vec<u8>, elements: usize) {
    write_line(out, '*', elements);
}

/// A string of any bytes; `None` is nil.
pub fn write_bulk(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else { return write_line(out, '$', -1) };
    write_line(out, '$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, kind: char, value: impl fmt::Display) {
    write!(out, "{kind}{value}\r\n").expect("writing to a vector does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(input: &[u8]) -> Command<'_> {
        parse(input).expect("no error").expect("a whole command")
    }

    #[test]
    fn a_command_is_whole_at_its_last_byte_and_not_before() {
        let input = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\r\n\0*\r\n";
        assert!((0..input.len()).all(|end| parse(&input[..end]) == Ok(None)));
        assert_eq!(parsed(input), Command { arguments: vec![b"SET", b"k", b"\r\n\0*"], length: input.len() });
    }

    #[test]
    fn what_follows_a_command_is_left_alone() {
        assert_eq!(parsed(b"*1\r\n$4\r\nPING\r\n*").length, 14);
        assert_eq!(parsed(b"PING\r\nPING").length, 6);
    }

    #[test]
    fn inline_commands_are_words() {
        assert_eq!(parsed(b"  SET\tk  v \r\n").arguments, [b"SET".as_slice(), b"k", b"v"]);
        assert_eq!(parsed(b"PING\n").arguments, [b"PING"]);
        assert_eq!(parse(b"PING"), Ok(None));
    }

    #[test]
    fn empty_commands_are_commands() {
        assert_eq!(parsed(b"*0\r\n"), Command { arguments: vec![], length: 4 });
        assert_eq!(parsed(b"\r\n"), Command { arguments: vec![], length: 2 });
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parsed(b"*1\r\n$0\r\n\r\n").arguments, [b""]);
    }

    #[test]
    fn what_is_no_command_is_refused_as_soon_as_it_is_seen() {
        for (input, error) in [
            (&b"*x\r\n"[..], ProtocolError::Count),
            (b"*-1\r\n", ProtocolError::Count),
            (b"*\r\n", ProtocolError::Count),
            (b"*1\n", ProtocolError::Count),
            (b"*1025\r\n", ProtocolError::Count),
            (b"*99999999999999999999", ProtocolError::Count),
            (b"*1\r\n+", ProtocolError::Bulk),
            (b"*1\r\n$-1\r\n", ProtocolError::Bulk),
            (b"*1\r\n$1048576\r\n", ProtocolError::BulkLength),
            (b"*1\r\n$1\r\nabc", ProtocolError::Bulk),
            (&[b'A'; MAX_INLINE], ProtocolError::Inline),
        ] {
            assert_eq!(parse(input), Err(error), "{}", String::from_utf8_lossy(&input[..input.len().min(40)]));
        }
    }

    #[test]
    fn a_command_is_bounded_as_a_whole() {
        let half = MAX_COMMAND / 2;
        let mut input = format!("*2\r\n${half}\r\n").into_bytes();
        input.resize(input.len() + half, b'a');
        input.extend_from_slice(b"\r\n");
        assert_eq!(parse(&input), Ok(None));
        input.extend_from_slice(format!("${half}\r\n").as_bytes());
        assert_eq!(parse(&input), Err(ProtocolError::BulkLength));
    }

    #[test]
    fn replies_are_written_as_redis_writes_them() {
        let mut out = Vec::new();
        write_text(&mut out, "OK");
        write_error(&mut out, "ERR no");
        write_integer(&mut out, -7);
        write_array(&mut out, 2);
        write_bulk(&mut out, Some(b"a\r\n"));
        write_bulk(&mut out, None);
        assert_eq!(out, b"+OK\r\n-ERR no\r\n:-7\r\n*2\r\n$3\r\na\r\n\r\n$-1\r\n");
    }
}
