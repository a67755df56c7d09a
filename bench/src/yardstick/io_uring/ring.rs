//! What the works put into the ring.

use super::buffers::{Buffers, GROUP};
use crate::error::{Doing, Error};
use io_uring::types::Fixed;
use io_uring::{Submitter, opcode, squeue};
use std::{io, ptr};

/// A connection's place in the ring's table of files.
pub(super) type Socket = u32;

/// What a completion is of: its `user_data`.
#[derive(Clone, Copy)]
pub(super) struct Tag(u64);

/// Kinds of operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Recv = 0,
    Send = 1,
    Accept = 2,
    Close = 3,
    /// A read of what ends the server.
    End = 4,
}

impl Tag {
    pub(super) fn new(kind: Kind, socket: Socket, buffer: u16) -> Tag {
        Tag((kind as u64) << 48 | u64::from(buffer) << 32 | u64::from(socket))
    }

    pub(super) fn of(user_data: u64) -> Tag {
        Tag(user_data)
    }

    pub(super) fn user_data(self) -> u64 {
        self.0
    }

    pub(super) fn kind(self) -> Kind {
        match self.0 >> 48 {
            0 => Kind::Recv,
            1 => Kind::Send,
            2 => Kind::Accept,
            3 => Kind::Close,
            _ => Kind::End,
        }
    }

    pub(super) fn socket(self) -> Socket {
        self.0 as u32
    }

    /// The buffer that a send is from.
    pub(super) fn buffer(self) -> u16 {
        (self.0 >> 32) as u16
    }
}

/// The side of the ring that submissions go into.
pub(super) struct Ring<'a> {
    pub(super) submitter: Submitter<'a>,
    pub(super) submissions: squeue::SubmissionQueue<'a>,
    pub(super) buffers: Buffers,
}

impl Ring<'_> {
    /// Submits what is queued and waits for a completion: one call.
    pub(super) fn submit_and_wait(&mut self) -> Result<(), Error> {
        self.buffers.publish();
        self.submissions.sync();
        match self.submitter.submit_and_wait(1) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            submitted => drop(submitted.doing("io_uring_enter")?),
        }
        self.submissions.sync();
        Ok(())
    }

    /// Queues a recv into a provided buffer.
    pub(super) fn recv(&mut self, socket: Socket) -> Result<(), Error> {
        let entry = opcode::Recv::new(Fixed(socket), ptr::null_mut(), 0).buf_group(GROUP).build();
        let entry = entry.flags(squeue::Flags::BUFFER_SELECT).user_data(Tag::new(Kind::Recv, socket, 0).user_data());
        // SAFETY: it has no pointer.
        unsafe { self.push(&entry) }
    }

    /// Queues a send of all these bytes.
    ///
    /// # Safety
    /// They stay where they are until it has completed, or for ever.
    pub(super) unsafe fn send(&mut self, socket: Socket, bytes: *const [u8], buffer: u16) -> Result<(), Error> {
        let entry = opcode::Send::new(Fixed(socket), bytes.cast(), bytes.len() as u32);
        let entry = entry.flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL).build();
        // SAFETY: the caller's promise.
        unsafe { self.push(&entry.user_data(Tag::new(Kind::Send, socket, buffer).user_data())) }
    }

    /// Queues a close; it completes only if it fails.
    pub(super) fn close(&mut self, socket: Socket) -> Result<(), Error> {
        let entry = opcode::Close::new(Fixed(socket)).build().flags(squeue::Flags::SKIP_SUCCESS);
        // SAFETY: it has no pointer.
        unsafe { self.push(&entry.user_data(Tag::new(Kind::Close, socket, 0).user_data())) }
    }

    /// Queues an operation; if there is no room, submits those that are there.
    ///
    /// # Safety
    /// What it points to stays where it is until it has completed, or for ever.
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        while unsafe { self.submissions.push(entry) }.is_err() {
            self.buffers.publish();
            self.submissions.sync();
            self.submitter.submit().doing("io_uring_enter")?;
            self.submissions.sync();
        }
        Ok(())
    }
}
