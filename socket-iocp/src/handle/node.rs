//! Nodes of sends: what an issue call hands to the worker, in a list without allocation.

use super::link::{Kind, Link};
use crate::buffer::Addressed;
use crate::time::Limit;
use crate::{Error, ErrorCode, SendBuffer};
use socket2::SockAddr;
use std::alloc::{self, Layout};
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

/// What a send carries.
#[derive(Debug)]
pub(crate) struct Send<W> {
    pub(crate) buffer: SendBuffer,
    pub(crate) write: W,
    /// Bytes with the operating system so far.
    pub(crate) sent: usize,
    pub(crate) result: Result<(), Error>,
}

/// A send on its way: the async send's one heap block, the room in that of its buffer, or the node embedded in a slot for its
/// sync send.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct SendNode<W> {
    pub(crate) link: Link,
    content: UnsafeCell<Content<W>>,
}

/// What is in a node.
#[derive(Debug)]
enum Content<W> {
    Nothing,
    /// In a node that is embedded in a datagram socket's slot, between two sends: where the next one's address goes.
    Address(Addressed),
    Send(Send<W>),
}

impl<W> Content<W> {
    fn send(&self) -> Option<&Send<W>> {
        match self {
            Content::Send(send) => Some(send),
            Content::Nothing | Content::Address(_) => None,
        }
    }

    fn send_mut(&mut self) -> Option<&mut Send<W>> {
        match self {
            Content::Send(send) => Some(send),
            Content::Nothing | Content::Address(_) => None,
        }
    }

    /// Takes the send out, if there is one; an address stays.
    fn take_send(&mut self) -> Option<Send<W>> {
        match std::mem::replace(self, Content::Nothing) {
            Content::Send(send) => Some(send),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Takes the address out, if there is one.
    fn take_address(&mut self) -> Option<Addressed> {
        match std::mem::replace(self, Content::Nothing) {
            Content::Address(address) => Some(address),
            other => {
                *self = other;
                None
            }
        }
    }
}

// SAFETY: the content is touched only by the one owner of the node's `NodeRef`; what it holds is `Send`.
unsafe impl<W: std::marker::Send> Sync for SendNode<W> {}

impl<W> SendNode<W> {
    /// The node embedded in slot `index`.
    pub(crate) fn embedded(index: u32) -> SendNode<W> {
        SendNode { link: Link::new(Kind::SyncSend, index), content: UnsafeCell::new(Content::Nothing) }
    }

    /// Keeps memory for the addresses of a datagram socket's sync sends in its embedded node, or (`None`) none any more.
    ///
    /// # Safety
    /// Nobody else refers to the node's content: no socket lives in its slot.
    pub(super) unsafe fn keep_address(&self, address: Option<Addressed>) {
        // SAFETY: the caller's promise.
        unsafe { *self.content.get() = address.map_or(Content::Nothing, Content::Address) };
    }
}

/// Owns a node. Dropping it drops the content, and frees the block of an async send.
pub(crate) struct NodeRef<W> {
    node: NonNull<SendNode<W>>,
    owns: PhantomData<Send<W>>,
}

// SAFETY: a `NodeRef` is the only way to its node's content.
unsafe impl<W: std::marker::Send> std::marker::Send for NodeRef<W> {}

impl<W> NodeRef<W> {
    /// What a node needs of the heap.
    pub(crate) const LAYOUT: Layout = Layout::new::<SendNode<W>>();

    /// A node for an async send of slot `index`: in the buffer's own room, else in a new block; everything comes back if memory
    /// is refused.
    pub(crate) fn allocate(index: u32, buffer: SendBuffer, write: W) -> Result<NodeRef<W>, (SendBuffer, W)> {
        let (place, kind) = match buffer.room_for(Self::LAYOUT) {
            Some(room) => (Some(room), Kind::CarriedSend),
            // SAFETY: a node is never of size zero.
            None => (NonNull::new(unsafe { alloc::alloc(Self::LAYOUT) }), Kind::AsyncSend),
        };
        let Some(node) = place.map(NonNull::cast::<SendNode<W>>) else { return Err((buffer, write)) };
        let content = Content::Send(Send { buffer, write, sent: 0, result: Ok(()) });
        // SAFETY: the place is of the right layout and nobody else's: a new block, or the room of the buffer, which lasts as
        // long as the buffer does wherever it is moved, and is used by this node alone, whose content the buffer is.
        unsafe { node.write(SendNode { link: Link::new(kind, index), content: UnsafeCell::new(content) }) };
        Ok(NodeRef { node, owns: PhantomData })
    }

    /// Fills the embedded node of a slot. A datagram socket's send goes to `address`, if it has one.
    ///
    /// # Safety
    /// The caller holds the slot's claim of the sync send, and the slot stays until that claim has been reported.
    pub(crate) unsafe fn fill(
        node: &SendNode<W>,
        address: Option<&SockAddr>,
        buffer: SendBuffer,
        write: W,
    ) -> NodeRef<W> {
        // SAFETY: the claim makes the caller the node's owner.
        let content = unsafe { &mut *node.content.get() };
        let buffer = match content.take_address() {
            Some(kept) => SendBuffer::in_block(kept, address, buffer),
            None => buffer,
        };
        *content = Content::Send(Send { buffer, write, sent: 0, result: Ok(()) });
        NodeRef { node: NonNull::from(node), owns: PhantomData }
    }

    /// Gives the node away as its link.
    pub(crate) fn into_link(self) -> NonNull<Link> {
        let link = self.node.cast();
        std::mem::forget(self);
        link
    }

    /// # Safety
    /// `link` comes from `into_link` of a node with this `W`, and is used here once.
    pub(crate) unsafe fn from_link(link: NonNull<Link>) -> NodeRef<W> {
        NodeRef { node: link.cast(), owns: PhantomData }
    }

    fn link(&self) -> &Link {
        // SAFETY: the node lives while a `NodeRef` to it does.
        unsafe { &self.node.as_ref().link }
    }

    /// The slot that the send goes to.
    pub(crate) fn index(&self) -> u32 {
        self.link().index()
    }

    /// How long the send may take.
    pub(crate) fn limit(&self) -> Limit {
        self.link().limit()
    }

    pub(crate) fn set_limit(&self, limit: Limit) {
        self.link().set_limit(limit);
    }

    pub(crate) fn is_sync(&self) -> bool {
        self.link().kind() == Kind::SyncSend
    }

    pub(crate) fn content(&self) -> &Send<W> {
        // SAFETY: this value owns the node; it was filled when the value was made and is emptied only in `finish`.
        unsafe { (*self.node.as_ref().content.get()).send().unwrap_unchecked() }
    }

    /// Takes the content out, its buffer as it was given; the block of an async send is freed but where it is the buffer's, the
    /// embedded node is empty again, but for the memory of a datagram's address.
    pub(crate) fn finish(self) -> Send<W> {
        // SAFETY: as in `content`; `self` is not used again but for freeing the block.
        let content = unsafe { &mut *self.node.as_ref().content.get() };
        // SAFETY: as in `content`.
        let mut send = unsafe { content.take_send().unwrap_unchecked() };
        let mut address = send.buffer.take_address();
        if self.is_sync()
            && let Some(address) = address.take()
        {
            *content = Content::Address(address);
        }
        drop(self);
        // With it goes the memory of a node that lies in its room.
        drop(address);
        send
    }
}

impl<W> Drop for NodeRef<W> {
    fn drop(&mut self) {
        let has_block = self.link().kind() == Kind::AsyncSend;
        // SAFETY: this value owns the content.
        let content = unsafe { (*self.node.as_ref().content.get()).take_send() };
        if has_block {
            // SAFETY: such a node came from `allocate`; its content is gone, its other fields need no drop.
            unsafe { alloc::dealloc(self.node.as_ptr().cast(), Self::LAYOUT) };
        }
        // With it goes the memory of a node that lies in its buffer's room.
        drop(content);
    }
}

impl<W> fmt::Debug for NodeRef<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeRef({:?}, {} bytes)", self.link().kind(), self.content().buffer.len())
    }
}

/// The error of a send whose node could not be allocated.
pub(crate) const NO_NODE: Error = Error::new(ErrorCode::NoMemory);

/// A first-in first-out list of nodes, linked through the nodes themselves, the last one to the first: so that the list
/// itself is one pointer.
pub(crate) struct NodeList<W> {
    last: *mut Link,
    owns: PhantomData<NodeRef<W>>,
}

// SAFETY: the list owns its nodes.
unsafe impl<W: std::marker::Send> std::marker::Send for NodeList<W> {}

impl<W> NodeList<W> {
    pub(crate) const fn new() -> NodeList<W> {
        NodeList { last: ptr::null_mut(), owns: PhantomData }
    }

    fn last(&self) -> Option<&Link> {
        // SAFETY: the last node is the list's own and alive.
        unsafe { self.last.as_ref() }
    }

    pub(crate) fn push_back(&mut self, node: NodeRef<W>) {
        let own = node.into_link();
        let first = self.last().map_or(own.as_ptr(), |last| last.next.swap(own.as_ptr(), Ordering::Relaxed));
        // SAFETY: the node is the list's from here on.
        unsafe { own.as_ref() }.next.store(first, Ordering::Relaxed);
        self.last = own.as_ptr();
    }

    pub(crate) fn pop_front(&mut self) -> Option<NodeRef<W>> {
        let last = self.last()?;
        let first = NonNull::new(last.next.load(Ordering::Relaxed)).expect("a list is a circle");
        if first.as_ptr() == self.last {
            self.last = ptr::null_mut();
        } else {
            // SAFETY: the first node is the list's own and alive.
            last.next.store(unsafe { first.as_ref() }.next.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        // SAFETY: it came from `into_link` and has left the list, once.
        Some(unsafe { NodeRef::from_link(first) })
    }

    /// The nodes from the front.
    fn nodes(&self) -> impl Iterator<Item = NonNull<SendNode<W>>> + use<W> {
        let last = self.last;
        let mut next = self.last().map(|last| last.next.load(Ordering::Relaxed));
        std::iter::from_fn(move || {
            let link = NonNull::new(next.take()?)?;
            if link.as_ptr() != last {
                // SAFETY: the nodes are the list's own and alive; both users keep it borrowed.
                next = Some(unsafe { link.as_ref() }.next.load(Ordering::Relaxed));
            }
            Some(link.cast())
        })
    }

    /// The nodes' contents from the front.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Send<W>> {
        // SAFETY: the nodes are alive, filled, and the list's own while it is borrowed.
        self.nodes().filter_map(|node| unsafe { (*node.as_ref().content.get()).send() })
    }

    /// Calls `visit` with the contents from the front, and their links, until it says false.
    pub(crate) fn visit_mut(&mut self, mut visit: impl FnMut(&mut Send<W>, &Link) -> bool) {
        for node in self.nodes() {
            // SAFETY: the nodes are alive, filled, and the list's own while it is borrowed, mutably; one at a time is
            // visited.
            let (content, link) = unsafe { ((*node.as_ref().content.get()).send_mut(), &node.as_ref().link) };
            if !content.is_some_and(|content| visit(content, link)) {
                break;
            }
        }
    }

    /// Moves those behind the first `skip` that `is_one` picks to the place right behind these; how many. No node's memory moves.
    pub(crate) fn bring_forward(&mut self, skip: u32, mut is_one: impl FnMut(&Send<W>) -> bool) -> u32 {
        let (mut all, mut others) = (std::mem::replace(self, NodeList::new()), NodeList::new());
        for _ in 0..skip {
            let node = all.pop_front().expect("that many are in the list");
            self.push_back(node);
        }
        let mut count = 0;
        while let Some(node) = all.pop_front() {
            if is_one(node.content()) {
                self.push_back(node);
                count += 1;
            } else {
                others.push_back(node);
            }
        }
        while let Some(node) = others.pop_front() {
            self.push_back(node);
        }
        count
    }
}

impl<W> Drop for NodeList<W> {
    fn drop(&mut self) {
        while self.pop_front().is_some() {}
    }
}

impl<W> fmt::Debug for NodeList<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeList({} nodes)", self.iter().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Shows by its drop that the owner of a send's bytes has gone.
    struct Owner(Arc<[u8]>);

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    fn carried(shared: &Arc<[u8]>) -> [SendBuffer; 3] {
        let mut parts = [SendBuffer::from(vec![1, 2]), SendBuffer::default(), shared.clone().into()];
        let copied = SendBuffer::copied(&[1, 2, 3, 4], NodeRef::<u64>::LAYOUT).expect("memory");
        let gathered = SendBuffer::gathered(&mut parts, NodeRef::<u64>::LAYOUT).expect("memory");
        let owned = SendBuffer::from_owner(Owner(shared.clone())).unwrap_or_else(|_| panic!("no memory"));
        [copied, gathered, owned]
    }

    fn bytes(buffer: &SendBuffer) -> Vec<u8> {
        buffer.slices().flatten().copied().collect()
    }

    #[test]
    fn a_node_lies_in_the_room_of_its_buffer() {
        let shared = Arc::from([3, 4]);
        for buffer in carried(&shared) {
            let before = bytes(&buffer);
            let node = NodeRef::allocate(7, buffer, 8_u64).expect("memory");
            assert_eq!((node.link().kind(), node.index(), node.is_sync()), (Kind::CarriedSend, 7, false));
            let place = node.node;
            let send = Box::new(node.finish());
            assert_eq!((bytes(&send.buffer), send.write), (before.clone(), 8));
            // The room is free again, for a node that goes without having been taken apart.
            let again = NodeRef::allocate(9, send.buffer, 10_u64).expect("memory");
            assert_eq!((again.node, bytes(&again.content().buffer)), (place, before));
        }
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn what_does_not_fit_into_the_room_has_a_block() {
        let shared = Arc::from([3, 4]);
        for buffer in carried(&shared) {
            let before = bytes(&buffer);
            let node = NodeRef::allocate(7, buffer, [8_u64; 20]).expect("memory");
            assert_eq!((node.link().kind(), bytes(&node.content().buffer)), (Kind::AsyncSend, before));
        }
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn a_list_has_nodes_of_both_sorts() {
        let shared = Arc::from([3, 4]);
        let mut list = NodeList::new();
        for _ in 0..3 {
            for buffer in carried(&shared) {
                list.push_back(NodeRef::allocate(1, buffer, 1_u64).expect("memory"));
                list.push_back(NodeRef::allocate(1, b"own".into(), 2_u64).expect("memory"));
            }
        }
        let mut visited = 0;
        list.visit_mut(|send, _| {
            send.sent += 1;
            visited += 1;
            true
        });
        let first = list.pop_front().expect("eighteen").finish();
        assert_eq!((visited, first.sent, bytes(&first.buffer)), (18, 1, vec![1, 2, 3, 4]));
        assert_eq!(list.iter().count(), 17);
        drop(list);
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}
