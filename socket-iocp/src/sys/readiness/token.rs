//! What an event's token says of its source.
//!
//! The low 32 bits are a slot's index, below 2^31, or have the top bit set for the sources that are not sockets; the
//! high 32 bits are a socket's generation. Where a token has 32 bits only, the generation is kept here, by index: a
//! late event of a closed socket then goes to the socket that has its slot now, which is harmless, since an event is a
//! reason to try and no more.

use crate::sys::{Key, ListenerKey};
use mio::Token;

/// Where an event comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Socket(Key),
    Listener(ListenerKey),
    Waker,
    Deadline,
}

const NOT_A_SOCKET: usize = 1 << 31;
const NOT_A_LISTENER: usize = 1 << 30;

pub(super) const WAKER: Token = Token(NOT_A_SOCKET | NOT_A_LISTENER);
pub(super) const DEADLINE: Token = Token(NOT_A_SOCKET | NOT_A_LISTENER | 1);

/// The token of a listener; `None` when the worker has used up its numbers.
pub(super) fn of_listener(listener: ListenerKey) -> Option<Token> {
    let number = listener.0 as usize;
    (number < NOT_A_LISTENER).then_some(Token(NOT_A_SOCKET | number))
}

/// The source, if it is no socket.
fn other_source(token: Token) -> Option<Source> {
    let low = token.0 & 0xFFFF_FFFF;
    match token {
        _ if low & NOT_A_SOCKET == 0 => None,
        WAKER => Some(Source::Waker),
        DEADLINE => Some(Source::Deadline),
        _ => Some(Source::Listener(ListenerKey((low & !NOT_A_SOCKET) as u32))),
    }
}

fn index_of(key: Key) -> usize {
    let index = key.index as usize;
    assert!(index < NOT_A_SOCKET, "slots have indexes below 2^31");
    index
}

#[cfg(not(target_pointer_width = "64"))]
pub(super) use narrow::Tokens;
#[cfg(target_pointer_width = "64")]
pub(super) use wide::Tokens;

#[cfg(target_pointer_width = "64")]
mod wide {
    use super::{Key, Source, Token, index_of, other_source};
    use std::collections::TryReserveError;

    /// Makes the tokens of sockets and reads them.
    #[derive(Debug)]
    pub(in super::super) struct Tokens;

    impl Tokens {
        pub(in super::super) fn new() -> Tokens {
            Tokens
        }

        pub(in super::super) fn of_socket(&mut self, key: Key) -> Result<Token, TryReserveError> {
            Ok(Token((key.generation as usize) << 32 | index_of(key)))
        }

        pub(in super::super) fn source(&self, token: Token) -> Source {
            let key = Key { index: token.0 as u32, generation: (token.0 >> 32) as u32 };
            other_source(token).unwrap_or(Source::Socket(key))
        }
    }
}

// Tested on every target, used on those of 32 bits.
#[cfg(any(test, not(target_pointer_width = "64")))]
mod narrow {
    use super::{Key, Source, Token, index_of, other_source};
    use std::collections::TryReserveError;

    /// Makes the tokens of sockets and reads them.
    #[derive(Debug)]
    pub(in super::super) struct Tokens {
        /// By index: the generation of the socket registered last.
        generations: Vec<u32>,
    }

    impl Tokens {
        pub(in super::super) fn new() -> Tokens {
            Tokens { generations: Vec::new() }
        }

        pub(in super::super) fn of_socket(&mut self, key: Key) -> Result<Token, TryReserveError> {
            let index = index_of(key);
            if index >= self.generations.len() {
                self.generations.try_reserve(index + 1 - self.generations.len())?;
                self.generations.resize(index + 1, 0);
            }
            self.generations[index] = key.generation;
            Ok(Token(index))
        }

        pub(in super::super) fn source(&self, token: Token) -> Source {
            other_source(token)
                .unwrap_or_else(|| Source::Socket(Key { index: token.0 as u32, generation: self.generations[token.0] }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [Key; 4] = [
        Key { index: 0, generation: 0 },
        Key { index: 1, generation: u32::MAX },
        Key { index: 70_000, generation: 1 << 31 },
        Key { index: 70_001, generation: 7 },
    ];

    #[test]
    fn a_socket_comes_back_from_its_token() {
        let (mut tokens, mut narrow) = (Tokens::new(), narrow::Tokens::new());
        for key in KEYS {
            let token = tokens.of_socket(key).expect("memory");
            assert_eq!(tokens.source(token), Source::Socket(key));
            let token = narrow.of_socket(key).expect("memory");
            assert!(token.0 < NOT_A_SOCKET);
            assert_eq!(narrow.source(token), Source::Socket(key));
        }
        for key in KEYS {
            assert_eq!(narrow.source(Token(key.index as usize)), Source::Socket(key));
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_largest_index_is_a_socket() {
        let (mut tokens, key) = (Tokens::new(), Key { index: (1 << 31) - 1, generation: u32::MAX });
        let token = tokens.of_socket(key).expect("memory");
        assert_eq!(tokens.source(token), Source::Socket(key));
    }

    #[test]
    #[should_panic(expected = "below 2^31")]
    fn an_index_too_large_is_refused() {
        let _ = Tokens::new().of_socket(Key { index: 1 << 31, generation: 0 });
    }

    #[test]
    fn what_is_no_socket_is_told_apart() {
        let tokens = Tokens::new();
        assert_eq!(tokens.source(WAKER), Source::Waker);
        assert_eq!(tokens.source(DEADLINE), Source::Deadline);
        for number in [0, 1, (1 << 30) - 1] {
            let token = of_listener(ListenerKey(number)).expect("in range");
            assert_eq!(tokens.source(token), Source::Listener(ListenerKey(number)));
        }
        assert_eq!(of_listener(ListenerKey(1 << 30)), None);
    }
}
