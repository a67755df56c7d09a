//! The slices of one send, gathered on the stack.

use crate::sys::MAX_GATHER;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::slice;
use windows_sys::Win32::Networking::WinSock::WSABUF;

pub(super) struct Gather<'q> {
    buffers: [MaybeUninit<WSABUF>; MAX_GATHER],
    count: usize,
    borrows: PhantomData<&'q [u8]>,
}

impl<'q> Gather<'q> {
    /// Takes as many slices as one send may have, and so many bytes.
    pub(super) fn new(slices: impl Iterator<Item = &'q [u8]>, max_bytes: usize) -> Gather<'q> {
        let mut gather =
            Gather { buffers: [const { MaybeUninit::uninit() }; MAX_GATHER], count: 0, borrows: PhantomData };
        let mut room = max_bytes;
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
