//! Which sends are to be cancelled, on its way from another thread to their worker.

use super::boxed::boxed;
use super::link::{Kind, Link};
use std::ptr::NonNull;

/// Tells of each send whether it is meant.
pub(crate) type Which<W> = dyn FnMut(&W) -> bool + Send;

/// A message with a function in it, and one block for each of the two.
#[repr(C)]
pub(crate) struct CancelNode<W> {
    link: Link,
    which: Box<Which<W>>,
}

impl<W> CancelNode<W> {
    /// A message about slot `index`; `None` if memory is refused.
    pub(crate) fn allocate(index: u32, which: impl FnMut(&W) -> bool + Send + 'static) -> Option<Box<CancelNode<W>>> {
        let which: Box<Which<W>> = boxed(which)?;
        boxed(CancelNode { link: Link::new(Kind::CancelSends, index), which })
    }

    /// Gives the message away as its link.
    pub(crate) fn into_link(self: Box<Self>) -> NonNull<Link> {
        NonNull::from(Box::leak(self)).cast()
    }

    /// The function of a message.
    ///
    /// # Safety
    /// `link` comes from `into_link` of a node with this `W`, and is used here once.
    pub(crate) unsafe fn from_link(link: NonNull<Link>) -> Box<Which<W>> {
        // SAFETY: the caller's promise: a node begins with its link, and is a box of its own.
        let node = unsafe { Box::from_raw(link.cast::<CancelNode<W>>().as_ptr()) };
        node.which
    }
}
