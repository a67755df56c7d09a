//! A descriptor in a message: [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SCM_RIGHTS`.

use super::from_io;
use crate::passing::read_exact;
use crate::{Error, ErrorCode};
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use socket2::Socket;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// Bytes of the message that tell of the socket: the kernel carries it beside them.
pub(crate) const CARRIED_BYTES: usize = 0;

/// The descriptor that came with a message; `None` if there was no room for it, or none was sent.
pub(crate) struct Carried {
    descriptor: Option<OwnedFd>,
    was_cut: bool,
}

/// Sends the message, with the socket at its first byte.
pub(crate) fn send(channel: &Socket, _: u32, socket: &Socket, message: &mut [u8]) -> Result<(), Error> {
    // On a socket of another family the kernel would send the bytes and forget the descriptor.
    if !channel.local_addr().map_err(|error| from_io(&error))?.is_unix() {
        return Err(ErrorCode::InvalidArgument.into());
    }
    quiet(channel)?;
    let descriptors = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)), "there is room for one");
    let sent = retry_on_intr(|| sendmsg(channel, &[IoSlice::new(message)], &mut control, SEND_FLAGS));
    let mut rest = &message[sent.map_err(of_errno)?..];
    // It is one piece nearly always: a signal may have come between.
    while !rest.is_empty() {
        let sent = retry_on_intr(|| rustix::net::send(channel, rest, SEND_FLAGS)).map_err(of_errno)?;
        rest = &rest[sent..];
    }
    Ok(())
}

/// Waits for the head of a message, and for what came with its first byte.
pub(crate) fn receive(channel: &Socket, head: &mut [u8]) -> Result<Carried, Error> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| recvmsg(channel, &mut [IoSliceMut::new(head)], &mut control, RECV_FLAGS));
    let received = received.map_err(of_errno)?;
    // Whatever else came is closed with the buffer.
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    if let Some(descriptor) = &descriptor {
        close_on_exec(descriptor)?;
    }
    if received.bytes == 0 {
        return Err(ErrorCode::Eof.into());
    }
    read_exact(channel, &mut head[received.bytes..])?;
    Ok(Carried { descriptor, was_cut: received.flags.contains(ReturnFlags::CTRUNC) })
}

impl Carried {
    pub(crate) fn into_socket(self, _: &[u8]) -> Result<OwnedFd, Error> {
        let missing = if self.was_cut { ErrorCode::NoDescriptors } else { ErrorCode::InvalidArgument };
        self.descriptor.ok_or(missing.into())
    }
}

/// With nobody to read, a send is an error and no signal.
#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: SendFlags = SendFlags::empty();

#[cfg(not(target_vendor = "apple"))]
fn quiet(_: &Socket) -> Result<(), Error> {
    Ok(())
}

/// Where a send has no flag for it, the channel gets the option.
#[cfg(target_vendor = "apple")]
fn quiet(channel: &Socket) -> Result<(), Error> {
    channel.set_nosigpipe(true).map_err(|error| from_io(&error))
}

/// What the kernel marks by itself is never open to a program that another thread starts in between.
#[cfg(not(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris")))]
const RECV_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris"))]
const RECV_FLAGS: RecvFlags = RecvFlags::empty();

#[cfg(not(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris")))]
fn close_on_exec(_: &OwnedFd) -> Result<(), Error> {
    Ok(())
}

#[cfg(any(target_vendor = "apple", target_os = "illumos", target_os = "solaris"))]
fn close_on_exec(descriptor: &OwnedFd) -> Result<(), Error> {
    rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC).map_err(of_errno)
}

fn of_errno(errno: rustix::io::Errno) -> Error {
    Error::from_os(errno.raw_os_error())
}
