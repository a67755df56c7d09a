//! A stream parser must not care how its input is split: what comes of it is compared over several ways to split it.

use std::fmt::Debug;

/// What a parser says of the input so far: something and how long it was, that more is needed, or an error that ends all.
pub(crate) enum Parsed<T> {
    Whole(T, usize),
    More,
    Wrong(T),
}

/// Bytes beyond which an input is not given byte by byte: parsing starts anew with each piece, so the time is the square.
const MAX_PIECES: usize = 512;

/// Feeds the input to the parser at once, byte by byte and in pieces of growing length, each time as a connection does: what
/// is there is parsed as far as it goes, then more is added. Asserts that it makes no difference, and that what is kept of
/// an unfinished input is below `max_kept` bytes. Gives what was parsed.
pub(crate) fn parse_in_pieces<T: PartialEq + Debug>(
    input: &[u8],
    max_kept: usize,
    parse: impl Fn(&[u8]) -> Parsed<T>,
) -> Vec<T> {
    let at_once = feed([input], &parse);
    assert!(at_once.kept < max_kept, "{} bytes are kept", at_once.kept);
    let step = input.len().div_ceil(MAX_PIECES).max(1);
    assert_eq!(feed(input.chunks(step), &parse), at_once, "in pieces of {step}");
    assert_eq!(feed(growing(input), &parse), at_once, "in growing pieces");
    at_once.found
}

/// Pieces of 1, 2, 3 bytes and so on: their ends fall on every kind of place.
fn growing(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut length = 0;
    std::iter::from_fn(move || {
        length += 1;
        let (piece, more) = rest.split_at(length.min(rest.len()));
        rest = more;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What a connection comes to.
#[derive(PartialEq, Debug)]
struct Fed<T> {
    found: Vec<T>,
    /// Bytes that wait for more; none after an error.
    kept: usize,
}

fn feed<'i, T>(pieces: impl IntoIterator<Item = &'i [u8]>, parse: &impl Fn(&[u8]) -> Parsed<T>) -> Fed<T> {
    let (mut waiting, mut found) = (Vec::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let mut done = 0;
        loop {
            match parse(&waiting[done..]) {
                Parsed::Whole(what, length) => {
                    assert!((1..=waiting.len() - done).contains(&length), "{length} of {}", waiting.len() - done);
                    found.push(what);
                    done += length;
                }
                Parsed::More => break,
                Parsed::Wrong(what) => {
                    found.push(what);
                    return Fed { found, kept: 0 };
                }
            }
        }
        waiting.drain(..done);
    }
    Fed { found, kept: waiting.len() }
}
