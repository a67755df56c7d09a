//! What a submission carries through the kernel and back in its `user_data`: which kind of operation it is, and whose.

use crate::sys::{Key, ListenerKey};

/// The slot index of a socket, or the number of an accept's entry: the bits between generation and kind.
const INDEX_BITS: u32 = 28;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const GENERATION_BITS: u32 = 32;
const KIND_SHIFT: u32 = GENERATION_BITS + INDEX_BITS;

/// What kind of submission a completion answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    Recv = 1,
    Send = 2,
    Accept = 3,
    /// A poll that stands for a recv, send or accept which the kernel would not let wait.
    RecvPoll = 4,
    SendPoll = 5,
    AcceptPoll = 6,
    /// The read of the wake-up descriptor.
    Wake = 7,
    /// The timeout of a driven port.
    Deadline = 8,
    /// A cancel: what came of it shows in the operation's own completion.
    Cancel = 9,
    /// The update of the timeout: no completion when it succeeds, one of no interest when it fails.
    Update = 10,
    /// A no-op of a driven port, whose completion makes the descriptor readable.
    Show = 11,
    Connect = 12,
    /// As `SendPoll`, for a connect.
    ConnectPoll = 13,
    /// A recv that stands.
    Standing = 14,
    /// The read of a part of a file, for the send that is to follow.
    FileRead = 15,
}

impl Kind {
    const ALL: [Kind; 15] = [
        Kind::Recv,
        Kind::Send,
        Kind::Accept,
        Kind::RecvPoll,
        Kind::SendPoll,
        Kind::AcceptPoll,
        Kind::Wake,
        Kind::Deadline,
        Kind::Cancel,
        Kind::Update,
        Kind::Show,
        Kind::Connect,
        Kind::ConnectPoll,
        Kind::Standing,
        Kind::FileRead,
    ];

    fn from_number(number: u64) -> Kind {
        match Kind::ALL.get((number as usize).wrapping_sub(1)) {
            Some(kind) => *kind,
            None => unreachable!("the kernel returns user_data as it was given"),
        }
    }

    /// The poll that stands in for the operation.
    pub(super) fn poll(self) -> Kind {
        match self {
            Kind::Recv => Kind::RecvPoll,
            Kind::Send => Kind::SendPoll,
            Kind::Accept => Kind::AcceptPoll,
            Kind::Connect => Kind::ConnectPoll,
            _ => unreachable!("only operations of sockets are polled for"),
        }
    }
}

/// A submission's name. For an accept, `index` is its entry's and `generation` its listener's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Tag(u64);

impl Tag {
    pub(super) fn new(kind: Kind, index: u32, generation: u32) -> Tag {
        assert!(u64::from(index) <= INDEX_MASK, "slot indices stay below 2^26");
        Tag(((kind as u64) << KIND_SHIFT) | (u64::from(index) << GENERATION_BITS) | u64::from(generation))
    }

    pub(super) fn of_socket(kind: Kind, key: Key) -> Tag {
        Tag::new(kind, key.index, key.generation)
    }

    /// The same operation's tag with another kind.
    pub(super) fn with_kind(self, kind: Kind) -> Tag {
        Tag::new(kind, self.index(), self.generation())
    }

    /// The name of a cancel. That of an accept names the accept; the others have an index that no accept comes to.
    pub(super) fn of_cancel(cancelled: Tag) -> Tag {
        match cancelled.kind() {
            Kind::Accept | Kind::AcceptPoll => cancelled.with_kind(Kind::Cancel),
            _ => Tag::new(Kind::Cancel, INDEX_MASK as u32, 0),
        }
    }

    pub(super) fn from_user_data(user_data: u64) -> Tag {
        Tag(user_data)
    }

    pub(super) fn user_data(self) -> u64 {
        self.0
    }

    pub(super) fn kind(self) -> Kind {
        Kind::from_number(self.0 >> KIND_SHIFT)
    }

    pub(super) fn index(self) -> u32 {
        ((self.0 >> GENERATION_BITS) & INDEX_MASK) as u32
    }

    fn generation(self) -> u32 {
        self.0 as u32
    }

    pub(super) fn key(self) -> Key {
        Key { index: self.index(), generation: self.generation() }
    }

    pub(super) fn listener(self) -> ListenerKey {
        ListenerKey(self.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_the_kernel_whole() {
        for (number, kind) in (1..).zip(Kind::ALL) {
            assert_eq!(kind as u64, number);
            for key in [Key { index: 0, generation: u32::MAX }, Key { index: (1 << 26) - 1, generation: 0 }] {
                let tag = Tag::from_user_data(Tag::of_socket(kind, key).user_data());
                assert_eq!((tag.kind(), tag.key()), (kind, key));
            }
        }
    }
}
