//! Slots: where the sockets of a port live.
//!
//! Slots come in chunks of 256. A chunk belongs to one worker of one port at a time; when the port goes, a later port
//! with the same handler type may take it over. Chunks are never unmapped and never change their type, so a handle of
//! any age leads to memory that can be asked for its generation.

use super::link::{Kind, Link};
use super::mailbox::Mailbox;
use super::node::SendNode;
use super::tally::Tally;
use super::token::Token;
use super::word::{Claimer, Word};
use super::{INDEX_BITS, MAX_GENERATION, SocketHandle};
use crate::buffer::Addressed;
use crate::handler::Handler;
use crate::lock::lock;
use crate::sys::SocketMemory;
use crate::time::Limit;
use crate::worker::Local;
use crate::{Error, ErrorCode};
use std::alloc::{self, Layout};
use std::any::TypeId;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const CHUNK_BITS: u32 = 8;
pub(super) const SLOTS_PER_CHUNK: u32 = 1 << CHUNK_BITS;
const MAX_CHUNKS: usize = 1 << (INDEX_BITS - CHUNK_BITS);

/// The end of a list of free slots.
const NONE: u32 = u32::MAX;

/// The part of a slot that is the same whatever the handler's types are.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct SlotHead {
    pub(crate) word: Word,
    /// Which socket this is, to tell it from a later one with its number.
    pub(crate) identity: AtomicU32,
    /// The number of the token of the worker that has the socket; 0 before the first.
    owner: AtomicU32,
    /// The message of the socket's recv, and of its arrival before that.
    pub(crate) recv_link: Link,
    /// The message of what stands in the word; its limit is that of the socket's timer, none while there is no timer.
    pub(crate) control_link: Link,
    /// What the timer was issued with, for the C interface.
    pub(crate) timer_state: AtomicUsize,
    /// Async sends outstanding, if the port counts them.
    pub(super) sends: Tally,
    /// Their bytes, likewise.
    pub(super) bytes: Tally,
}

/// One socket's place.
#[repr(C)]
pub(crate) struct Slot<H: Handler> {
    pub(crate) head: SlotHead,
    pub(crate) sync_send: SendNode<H::Write>,
    /// What the kernel writes to while operations of the socket are under way. Only the socket's worker touches it.
    memory: SocketMemory,
    /// What only the socket's worker touches.
    local: UnsafeCell<Local<H>>,
}

// SAFETY: a reference to `local` or `memory` is given only against a reference to the owner's token, which is not `Sync`:
// so no two threads hold one at once, and what `local` holds is `Send`; `memory` is of no thread. `NewSlot::fill` writes
// `local` while nobody can have one. The other parts are atomics, and the node has its own protocol.
unsafe impl<H: Handler> Sync for Slot<H> {}

/// A chunk of slots of one type.
struct Chunk {
    /// The number of the port that has the chunk; 0 for none.
    port: AtomicU64,
    /// Which of the port's workers has it.
    worker: AtomicU32,
    /// How to reach the worker that has the chunk.
    mailbox: Mutex<Option<Arc<Mailbox>>>,
    handler: TypeId,
    first_index: u32,
    stride: usize,
    slots: NonNull<u8>,
}

// SAFETY: `slots` points to memory that is never freed and whose parts are shared as their own types allow.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

/// Where an index leads. A null pointer is a chunk not made yet.
static DIRECTORY: [AtomicPtr<Chunk>; MAX_CHUNKS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_CHUNKS];

/// Chunks made so far, and those that no port has.
static CHUNKS: Mutex<Chunks> = Mutex::new(Chunks { made: 0, spare: Vec::new() });

struct Chunks {
    made: usize,
    spare: Vec<&'static Chunk>,
}

fn chunk_of(index: u32) -> Option<&'static Chunk> {
    let chunk = DIRECTORY.get((index >> CHUNK_BITS) as usize)?.load(Ordering::Acquire);
    // SAFETY: chunks in the directory are never freed.
    NonNull::new(chunk).map(|chunk| unsafe { chunk.as_ref() })
}

impl Chunk {
    fn head(&self, index: u32) -> &'static SlotHead {
        let offset = (index % SLOTS_PER_CHUNK) as usize * self.stride;
        // SAFETY: every slot of every type starts with its head, was initialised with its chunk, and stays.
        unsafe { self.slots.byte_add(offset).cast::<SlotHead>().as_ref() }
    }

    fn slot<H: Handler>(&self, index: u32) -> &'static Slot<H> {
        assert_eq!(self.handler, TypeId::of::<H>(), "a slot of another type");
        // SAFETY: the chunk's slots were made as `Slot<H>` and stay so.
        unsafe { self.slots.cast::<Slot<H>>().add((index % SLOTS_PER_CHUNK) as usize).as_ref() }
    }

    /// A chunk for this handler type: a spare one, or new memory.
    fn obtain<H: Handler>() -> Result<&'static Chunk, Error> {
        let mut chunks = lock(&CHUNKS);
        if let Some(at) = chunks.spare.iter().position(|chunk| chunk.handler == TypeId::of::<H>()) {
            return Ok(chunks.spare.swap_remove(at));
        }
        if chunks.made == MAX_CHUNKS {
            return Err(ErrorCode::Limit.into());
        }
        // Room for giving it back, so that the end of a port needs no memory.
        let made = chunks.made;
        chunks.spare.try_reserve(made + 1).map_err(|_| ErrorCode::NoMemory)?;
        let chunk = Chunk::make::<H>((made as u32) << CHUNK_BITS).ok_or(ErrorCode::NoMemory)?;
        DIRECTORY[made].store(ptr::from_ref(chunk).cast_mut(), Ordering::Release);
        chunks.made += 1;
        Ok(chunk)
    }

    fn make<H: Handler>(first_index: u32) -> Option<&'static Chunk> {
        let layout = Layout::array::<Slot<H>>(SLOTS_PER_CHUNK as usize).ok()?;
        // SAFETY: neither layout is of size zero.
        let slots = NonNull::new(unsafe { alloc::alloc(layout) })?;
        // SAFETY: as above.
        let Some(chunk) = NonNull::new(unsafe { alloc::alloc(Layout::new::<Chunk>()) }.cast::<Chunk>()) else {
            // SAFETY: just allocated with this layout.
            unsafe { alloc::dealloc(slots.as_ptr(), layout) };
            return None;
        };
        for offset in 0..SLOTS_PER_CHUNK {
            // SAFETY: the memory is new and holds this many slots.
            unsafe { slots.cast::<Slot<H>>().add(offset as usize).write(Slot::vacant(first_index + offset)) };
        }
        let value = Chunk {
            port: AtomicU64::new(0),
            worker: AtomicU32::new(0),
            mailbox: Mutex::new(None),
            handler: TypeId::of::<H>(),
            first_index,
            stride: size_of::<Slot<H>>(),
            slots,
        };
        // SAFETY: the memory is new, of this layout, and never freed.
        unsafe {
            chunk.write(value);
            Some(chunk.as_ref())
        }
    }
}

impl SlotHead {
    /// Whether the socket that lives here, or is about to, is one of datagrams.
    pub(crate) fn is_datagram(&self) -> bool {
        self.recv_link.kind() == Kind::Datagram
    }
}

impl<H: Handler> Slot<H> {
    fn vacant(index: u32) -> Slot<H> {
        Slot {
            head: SlotHead {
                word: Word::vacant(),
                identity: AtomicU32::new(0),
                owner: AtomicU32::new(0),
                recv_link: Link::new(Kind::Recv, index),
                control_link: Link::new(Kind::Control, index),
                timer_state: AtomicUsize::new(0),
                sends: Tally::free(NONE),
                bytes: Tally::free(NONE),
            },
            sync_send: SendNode::embedded(index),
            memory: SocketMemory::new(),
            local: UnsafeCell::new(Local::vacant()),
        }
    }

    pub(crate) fn index(&self) -> u32 {
        self.head.control_link.index()
    }

    /// What the socket's worker keeps of it.
    pub(crate) fn local<'a>(&'a self, token: &'a Token) -> &'a Local<H> {
        assert_eq!(self.head.owner.load(Ordering::Relaxed), token.number(), "a socket of another worker");
        // SAFETY: see `Sync` above.
        unsafe { &*self.local.get() }
    }

    /// What the kernel writes to for the socket: at this address for as long as the process lives.
    pub(crate) fn memory(&'static self, token: &Token) -> &'static SocketMemory {
        assert_eq!(self.head.owner.load(Ordering::Relaxed), token.number(), "a socket of another worker");
        &self.memory
    }

    /// The handle of the socket that lives here.
    pub(crate) fn handle(&self) -> SocketHandle {
        SocketHandle::new(self.index(), self.head.word.generation())
    }
}

/// The head of the slot that a handle names and how to reach its worker, of whatever port; `None` if it is dead.
pub(crate) fn find_live(handle: SocketHandle) -> Option<(&'static SlotHead, Arc<Mailbox>)> {
    let chunk = chunk_of(handle.index())?;
    let mailbox = lock(&chunk.mailbox).clone()?;
    let head = chunk.head(handle.index());
    head.word.is_live(handle.generation()).then_some((head, mailbox))
}

/// The identity kept with the socket that a handle names, which may be about to live.
pub(crate) fn identity_kept(handle: SocketHandle) -> Option<u32> {
    let head = chunk_of(handle.index())?.head(handle.index());
    let generation = head.word.generation();
    let lives = head.word.is_live(handle.generation());
    let will_live = generation + 1 == handle.generation() && !head.word.is_occupied();
    let identity = head.identity.load(Ordering::Acquire);
    (lives || will_live).then_some(identity)
}

/// The slots of one worker.
pub(crate) struct Slots<H: Handler> {
    port: u64,
    worker: usize,
    token: u32,
    mailbox: Arc<Mailbox>,
    inner: Mutex<Inner>,
    /// Slots in use; written under the lock.
    live: AtomicUsize,
    holds: PhantomData<fn() -> H>,
}

#[derive(Debug)]
struct Inner {
    /// First indices of the worker's chunks.
    chunks: Vec<u32>,
    first_free: u32,
    /// The worker has gone: no slot is given any more.
    closed: bool,
}

/// A slot taken from the free list and not live yet; dropping it puts it back.
pub(crate) struct NewSlot<'a, H: Handler> {
    slots: &'a Slots<H>,
    slot: &'static Slot<H>,
}

impl<H: Handler> Slots<H> {
    pub(crate) fn new(port: u64, worker: usize, token: &Token, mailbox: Arc<Mailbox>) -> Slots<H> {
        let inner = Inner { chunks: Vec::new(), first_free: NONE, closed: false };
        Slots {
            port,
            worker,
            token: token.number(),
            mailbox,
            inner: Mutex::new(inner),
            live: AtomicUsize::new(0),
            holds: PhantomData,
        }
    }

    /// A slot for a new socket. Errors: `Closed` (the worker has gone), `NoMemory`, `Limit`.
    pub(crate) fn allocate(&self) -> Result<NewSlot<'_, H>, Error> {
        let mut inner = lock(&self.inner);
        if inner.closed {
            return Err(ErrorCode::Closed.into());
        }
        // A chunk taken over from an earlier port may be used up.
        while inner.first_free == NONE {
            self.grow(&mut inner)?;
        }
        let slot = self.at(inner.first_free);
        inner.first_free = slot.head.sends.next_free();
        self.live.fetch_add(1, Ordering::SeqCst);
        Ok(NewSlot { slots: self, slot })
    }

    fn grow(&self, inner: &mut Inner) -> Result<(), Error> {
        inner.chunks.try_reserve(1).map_err(|_| ErrorCode::NoMemory)?;
        let chunk = Chunk::obtain::<H>()?;
        *lock(&chunk.mailbox) = Some(self.mailbox.clone());
        chunk.worker.store(self.worker as u32, Ordering::Relaxed);
        chunk.port.store(self.port, Ordering::Release);
        inner.chunks.push(chunk.first_index);
        for index in (chunk.first_index..chunk.first_index + SLOTS_PER_CHUNK).rev() {
            free(inner, chunk.slot::<H>(index));
        }
        Ok(())
    }

    /// The slot of an index that one of this worker's chunks has.
    pub(crate) fn at(&self, index: u32) -> &'static Slot<H> {
        chunk_of(index).expect("the worker's own chunk").slot(index)
    }

    /// Takes back a slot that has been retired, or was never filled.
    pub(crate) fn release(&self, slot: &'static Slot<H>) {
        if slot.head.is_datagram() {
            slot.head.recv_link.set_kind(Kind::Recv);
            // SAFETY: no socket lives in the slot, which is not on the free list yet.
            unsafe { slot.sync_send.keep_address(None) };
        }
        let mut inner = lock(&self.inner);
        free(&mut inner, slot);
        self.live.fetch_sub(1, Ordering::SeqCst);
    }

    /// The indices of the sockets that live now.
    pub(crate) fn live_indices(&self) -> impl Iterator<Item = u32> {
        let chunk = |at| lock(&self.inner).chunks.get(at).copied();
        (0..)
            .map_while(chunk)
            .flat_map(|first| first..first + SLOTS_PER_CHUNK)
            .filter(|index| self.at(*index).head.word.is_occupied())
    }

    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::SeqCst)
    }

    /// Gives no slot any more, if none is live; tells whether that is so.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut inner = lock(&self.inner);
        inner.closed |= self.live() == 0;
        inner.closed
    }
}

/// Puts a slot on the free list, unless its generations are used up: then it stays vacant for ever.
fn free<H: Handler>(inner: &mut Inner, slot: &'static Slot<H>) {
    if slot.head.word.generation() < MAX_GENERATION {
        slot.head.sends.set_next_free(inner.first_free);
        inner.first_free = slot.index();
    }
}

impl<H: Handler> Drop for Slots<H> {
    fn drop(&mut self) {
        let mut chunks = lock(&CHUNKS);
        for first in &lock(&self.inner).chunks {
            let Some(chunk) = chunk_of(*first) else { continue };
            chunk.port.store(0, Ordering::Release);
            *lock(&chunk.mailbox) = None;
            chunks.spare.push(chunk);
        }
    }
}

impl<H: Handler> NewSlot<'_, H> {
    /// The handle that the socket with this identity will have.
    pub(crate) fn promise(&self, identity: u32) -> SocketHandle {
        self.slot.head.identity.store(identity, Ordering::Release);
        SocketHandle::new(self.slot.index(), self.slot.head.word.generation() + 1)
    }

    /// The slot is to have a datagram socket, whose sync sends keep their addresses here.
    pub(crate) fn is_for_datagrams(&self, address: Addressed) {
        self.slot.head.recv_link.set_kind(Kind::Datagram);
        // SAFETY: no socket lives in the slot, which came from the free list and is nobody else's.
        unsafe { self.slot.sync_send.keep_address(Some(address)) };
    }

    /// Makes the slot live with this content. With `Claimer::Foreign` the caller then posts its arrival.
    pub(crate) fn fill(self, local: Local<H>, identity: u32, claimer: Claimer) -> &'static Slot<H> {
        let slot = self.slot;
        // SAFETY: the slot came from the free list, so no worker refers to its content, and nobody finds it before the
        // word says that it lives.
        unsafe { *slot.local.get() = local };
        slot.head.owner.store(self.slots.token, Ordering::Relaxed);
        let generation = slot.head.word.generation() + 1;
        slot.head.sends.start(generation);
        slot.head.bytes.start(generation);
        slot.head.recv_link.set_limit(Limit::NONE);
        slot.head.identity.store(identity, Ordering::Relaxed);
        slot.head.word.bring_to_life(claimer);
        std::mem::forget(self);
        slot
    }
}

impl<H: Handler> Drop for NewSlot<'_, H> {
    fn drop(&mut self) {
        self.slots.release(self.slot);
    }
}

/// The slot that a handle names in the port of this number, and the worker that has it. Whether the socket still lives
/// is for the claim to say.
///
/// Errors: `BadHandle`, `Closed`, `WrongPort`.
pub(crate) fn resolve<H: Handler>(port: u64, handle: SocketHandle) -> Result<(&'static Slot<H>, usize), Error> {
    let chunk = chunk_of(handle.index()).ok_or(ErrorCode::BadHandle)?;
    if chunk.port.load(Ordering::Acquire) == port {
        return Ok((chunk.slot(handle.index()), chunk.worker.load(Ordering::Relaxed) as usize));
    }
    let word = &chunk.head(handle.index()).word;
    Err(match handle.generation().cmp(&word.generation()) {
        std::cmp::Ordering::Greater => ErrorCode::BadHandle,
        std::cmp::Ordering::Equal if word.is_before_farewell(handle.generation()) => ErrorCode::WrongPort,
        _ => ErrorCode::Closed,
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Farewell, ReadBuffer, Sent};

    /// A handler whose states are pointers, as the C interface's are.
    struct Pointers;

    impl Handler for Pointers {
        type Listener = usize;
        type Socket = usize;
        type Write = usize;

        fn accept(&self, _: &Context<'_, Self>, _: &usize) -> Option<usize> {
            None
        }

        fn recv(&self, _: &Context<'_, Self>, _: &mut usize, _: Result<ReadBuffer, Error>) {}

        fn send(&self, _: &Context<'_, Self>, _: &mut usize, _: Sent<usize>) {}

        fn error(&self, _: &Context<'_, Self>, _: usize, _: Farewell) {}
    }

    // What is left up to 320 bytes is for the table of descriptors and for the free slots of the last chunk. On Windows two
    // OVERLAPPEDs of 32 bytes come on top.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_slot_is_small() {
        assert_eq!(size_of::<Slot<Pointers>>(), if cfg!(windows) { 384 } else { 296 });
    }

    // What an async send costs besides its bytes.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_node_is_small() {
        assert_eq!((size_of::<SendNode<usize>>(), size_of::<crate::SendBuffer>()), (64, 24));
    }
}
