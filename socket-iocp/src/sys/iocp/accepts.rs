//! Accepts under way: the ready-made socket of each, and where the kernel writes its addresses.

use super::failure_of;
use super::listener::{ADDRESS_BYTES, Listener};
use super::memory::{State, result_of};
use crate::sys::{Accepted, Failure, ListenerKey, Submitted};
use std::alloc::{self, Layout};
use std::os::windows::io::OwnedSocket;
use std::ptr::NonNull;
use windows_sys::Win32::Foundation::{HANDLE, NTSTATUS};
use windows_sys::Win32::System::IO::{CancelIoEx, OVERLAPPED};

/// Entries are allocated so many at a time.
const CHUNK: usize = 64;

/// One accept's memory. It has the kernel's parts, which are touched by address only, and ours.
#[repr(C)]
struct Entry {
    /// The kernel's while the accept is under way.
    overlapped: OVERLAPPED,
    /// As `overlapped`.
    addresses: [u8; 2 * ADDRESS_BYTES],
    state: State,
    listener: ListenerKey,
    /// The socket that becomes the connection's.
    socket: Option<OwnedSocket>,
}

/// A slab of entries, which never move. They are used again, so a steady number of accepts allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Accepts {
    chunks: Vec<NonNull<Entry>>,
    free: Vec<NonNull<Entry>>,
    pending: usize,
}

// SAFETY: the slab owns its chunks, and what is in them is `Send`.
unsafe impl Send for Accepts {}

fn layout() -> Layout {
    Layout::array::<Entry>(CHUNK).expect("a few kilobytes")
}

impl Accepts {
    /// Starts an accept on this listener.
    pub(super) fn start(&mut self, listener: &Listener) -> Submitted<Accepted> {
        let Some(entry) = self.take_free() else { return Submitted::Done(Err(Failure::Shortage)) };
        let outcome = listener.new_socket().and_then(|socket| {
            // SAFETY: the entry was free: it is ours alone.
            let Entry { overlapped, addresses, .. } = unsafe { &mut *entry.as_ptr() };
            *overlapped = OVERLAPPED::default();
            // SAFETY: both are the kernel's from here to the completion: the entry is not used before, and its chunk is
            // not freed while one is.
            unsafe { listener.accept_ex(&socket, addresses.as_mut_ptr(), overlapped) }.map(|pends| (pends, socket))
        });
        match outcome {
            Ok((false, socket)) => {
                // SAFETY: it is done, and no completion comes: the entry is ours.
                let result = listener.finish(socket, unsafe { &mut (*entry.as_ptr()).addresses });
                self.free.push(entry);
                Submitted::Done(result)
            }
            Ok((true, socket)) => {
                // SAFETY: these parts of the entry are ours; the reference covers none of the kernel's.
                unsafe {
                    (&raw mut (*entry.as_ptr()).state).write(State::Pending);
                    (&raw mut (*entry.as_ptr()).listener).write(listener.key);
                    (&raw mut (*entry.as_ptr()).socket).write(Some(socket));
                }
                self.pending += 1;
                Submitted::Pending
            }
            Err(error) => {
                self.free.push(entry);
                Submitted::Done(Err(error.os_error().map_or(Failure::Shortage, failure_of)))
            }
        }
    }

    /// Takes the accept that has this OVERLAPPED, whose completion has been taken from the port. `None` if it is none of
    /// ours, or none that is under way.
    pub(super) fn end(
        &mut self,
        overlapped: *mut OVERLAPPED,
        bytes: u32,
        listeners: &[Listener],
    ) -> Option<(ListenerKey, Result<Accepted, Failure>)> {
        let entry = self.find(overlapped)?;
        // SAFETY: the completion is here, so the whole entry is ours again.
        let Entry { overlapped, addresses, state, listener: key, socket } = unsafe { &mut *entry.as_ptr() };
        let before = std::mem::replace(state, State::Idle);
        let socket = socket.take().expect("an accept has a socket");
        let listener = listeners.iter().find(|listener| listener.key == *key);
        let key = *key;
        let result = result_of(overlapped.Internal as NTSTATUS, bytes, before);
        let result = match (result, listener) {
            (Ok(_), Some(listener)) => listener.finish(socket, addresses),
            (Ok(_), None) => Err(Failure::Cancelled),
            (Err(failure), _) => Err(failure),
        };
        self.pending -= 1;
        self.free.push(entry);
        Some((key, result))
    }

    /// Asks for the end of every accept of this listener.
    pub(super) fn cancel(&mut self, listener: &Listener) {
        for entry in self.entries() {
            // SAFETY: these two are ours, whatever the kernel has.
            let (state, key) = unsafe { (&mut (*entry.as_ptr()).state, (*entry.as_ptr()).listener) };
            if *state == State::Pending && key == listener.key {
                *state = State::Cancelling;
                // An error means that it has ended already: its completion is on its way.
                // SAFETY: the listener's socket is the library's own and open; the OVERLAPPED only names the accept.
                unsafe { CancelIoEx(listener.socket() as HANDLE, entry.as_ptr().cast()) };
            }
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// Accepts that may be under way at once without another allocation.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// Every entry there is.
    fn entries(&self) -> impl Iterator<Item = NonNull<Entry>> {
        // SAFETY: a chunk has so many entries.
        self.chunks.iter().flat_map(|chunk| (0..CHUNK).map(move |at| unsafe { chunk.add(at) }))
    }

    /// The entry of an accept under way that has this OVERLAPPED. The address may be anybody's: it is only compared.
    fn find(&self, overlapped: *mut OVERLAPPED) -> Option<NonNull<Entry>> {
        let in_chunk = |chunk: &&NonNull<Entry>| {
            let distance = overlapped.addr().wrapping_sub(chunk.addr().get());
            distance < layout().size() && distance.is_multiple_of(size_of::<Entry>())
        };
        let chunk = self.chunks.iter().find(in_chunk)?;
        let at = (overlapped.addr() - chunk.addr().get()) / size_of::<Entry>();
        // SAFETY: it lies in the chunk; the state is ours, whatever the kernel has.
        let (entry, state) = unsafe { (chunk.add(at), (*chunk.add(at).as_ptr()).state) };
        (state != State::Idle).then_some(entry)
    }

    fn take_free(&mut self) -> Option<NonNull<Entry>> {
        if self.free.is_empty() {
            self.grow()?;
        }
        self.free.pop()
    }

    fn grow(&mut self) -> Option<()> {
        self.chunks.try_reserve(1).ok()?;
        // Room for all of them, so that giving one back needs no memory.
        self.free.try_reserve((self.chunks.len() + 1) * CHUNK).ok()?;
        // SAFETY: the layout is not of size zero.
        let chunk = NonNull::new(unsafe { alloc::alloc(layout()) }.cast::<Entry>())?;
        for at in 0..CHUNK {
            let vacant = Entry {
                overlapped: OVERLAPPED::default(),
                addresses: [0; 2 * ADDRESS_BYTES],
                state: State::Idle,
                listener: ListenerKey(0),
                socket: None,
            };
            // SAFETY: the chunk is new and has room for so many entries.
            let entry = unsafe { chunk.add(at) };
            // SAFETY: as above.
            unsafe { entry.write(vacant) };
            self.free.push(entry);
        }
        self.chunks.push(chunk);
        Some(())
    }
}

impl Drop for Accepts {
    fn drop(&mut self) {
        if self.pending != 0 {
            // A worker that died. The kernel may still write to the entries: they are left to the process for good.
            return;
        }
        for chunk in self.chunks.drain(..) {
            // SAFETY: no accept is under way: the chunk is ours, of this layout, and its entries have no sockets.
            unsafe { alloc::dealloc(chunk.as_ptr().cast(), layout()) };
        }
    }
}
