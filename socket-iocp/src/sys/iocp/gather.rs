//! The slices of one send, gathered on the stack.

use crate::sys::MAX_GATHER;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::slice;
use windows_sys::Win32::Networking::WinSock::WSABUF;

/// The most bytes in one send. The system may lock their pages until the peer has acknowledged them: this bounds what one
/// socket locks.
const MAX_SEND_BYTES: usize = 4 << 20;

pub(super) struct Gather<'q> {
    buffers: [MaybeUninit<WSABUF>; MAX_GATHER],
    count: usize,
    borrows: PhantomData<&'q [u8]>,
}

impl<'q> Gather<'q> {
    /// Takes as many slices as one send may have, and of the last of them as many bytes.
    pub(super) fn new(slices: impl Iterator<Item = &'q [u8]>) -> Gather<'q> {
        let mut gather =
            Gather { buffers: [const { MaybeUninit::uninit() }; MAX_GATHER], count: 0, borrows: PhantomData };
        let mut room = MAX_SEND_BYTES;
        for (place, slice) in gather.buffers.iter_mut().zip(slices) {
            let len = slice.len().min(room);
            // The kernel only reads what a send's buffer names.
            place.write(WSABUF { len: len as u32, buf: slice.as_ptr().cast_mut() });
            gather.count += 1;
            room -= len;
            if room == 0 {
                break;
            }
        }
        gather
    }

    pub(super) fn buffers(&self) -> &[WSABUF] {
        // SAFETY: `new` has written the first `count`.
        unsafe { slice::from_raw_parts(self.buffers.as_ptr().cast(), self.count) }
    }
}
