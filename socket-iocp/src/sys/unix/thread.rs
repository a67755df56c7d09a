//! Worker threads, started so that a refusal is an error whatever is refused.
//!
//! A thread of the standard library's maps an alternative signal stack when it starts, and ends the process if that is refused;
//! and making one allocates in ways that cannot be refused at all. These are made of pthread_create(3) and one block.

use std::alloc::{self, Layout};
use std::ffi::{c_char, c_void};
use std::io::Write;
use std::mem::MaybeUninit;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::{fmt, io, mem};

/// As much as the standard library's threads have.
const STACK_BYTES: usize = 2 * 1024 * 1024;
/// The longest name that Linux takes, and its end.
const NAME_BYTES: usize = 16;

/// A thread. Dropped, it goes on by itself.
#[derive(Debug)]
pub(crate) struct Thread(libc::pthread_t);

// SAFETY: a thread may be joined or detached by any thread; where the name of one is a pointer, nobody follows it.
unsafe impl Send for Thread {}

/// What a new thread is given: a block of its own.
struct Start<F> {
    body: F,
    name: [u8; NAME_BYTES],
}

impl Thread {
    /// Starts a thread. The name is cut to what the system takes.
    pub(super) fn spawn<F: FnOnce() + Send + 'static>(name: fmt::Arguments<'_>, body: F) -> io::Result<Thread> {
        let mut short = [0; NAME_BYTES];
        // A longer one is cut.
        let _ = (&mut short[..NAME_BYTES - 1]).write_fmt(name);
        let layout = Layout::new::<Start<F>>();
        // SAFETY: the layout is not of size zero, since it has a name.
        let block = NonNull::new(unsafe { alloc::alloc(layout) }.cast::<Start<F>>());
        let block = block.ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: the block is new and has this layout.
        unsafe { block.write(Start { body, name: short }) };
        let mut thread = MaybeUninit::uninit();
        match with_attributes(|attributes| {
            // SAFETY: the attributes are initialised; the new thread becomes the one owner of the block, which it may:
            // the body is `Send` and borrows nothing.
            unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes, enter::<F>, block.as_ptr().cast()) }
        }) {
            // SAFETY: the call has written it.
            0 => Ok(Thread(unsafe { thread.assume_init() })),
            refusal => {
                // SAFETY: there is no thread, so that the block is still ours, and it is as a box of this layout.
                drop(unsafe { Box::from_raw(block.as_ptr()) });
                Err(io::Error::from_raw_os_error(refusal))
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn join(self) {
        // SAFETY: it was made joinable, and is neither joined nor detached elsewhere.
        unsafe { libc::pthread_join(self.0, ptr::null_mut()) };
        mem::forget(self);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: as above: a thread that was joined does not come here.
        unsafe { libc::pthread_detach(self.0) };
    }
}

/// Calls `create` with the attributes of a worker; the error number that comes of it.
fn with_attributes(create: impl FnOnce(*const libc::pthread_attr_t) -> i32) -> i32 {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: the first call initialises what the others read and the last gives back.
    unsafe {
        let refusal = libc::pthread_attr_init(attributes.as_mut_ptr());
        if refusal != 0 {
            return refusal;
        }
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK_BYTES);
        let answer = create(attributes.as_ptr());
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        answer
    }
}

extern "C" fn enter<F: FnOnce()>(start: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` has left this block to this thread alone; it was allocated as a box of this type is.
    let start = *unsafe { Box::from_raw(start.cast::<Start<F>>()) };
    set_name(start.name.as_ptr().cast());
    // A worker never panics but for a failed assertion, which has been printed. Nothing unwinds out of a thread's start.
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(start.body)) {
        mem::forget(payload);
    }
    ptr::null_mut()
}

/// Names the calling thread, for debuggers: a refusal does not matter.
fn set_name(name: *const c_char) {
    // SAFETY: the name ends with a zero.
    unsafe {
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "illumos"))]
        libc::pthread_setname_np(libc::pthread_self(), name);
        #[cfg(target_vendor = "apple")]
        libc::pthread_setname_np(name);
        #[cfg(any(target_os = "freebsd", target_os = "openbsd", target_os = "dragonfly"))]
        libc::pthread_set_name_np(libc::pthread_self(), name);
        #[cfg(target_os = "netbsd")]
        libc::pthread_setname_np(libc::pthread_self(), c"%s".as_ptr(), name.cast_mut().cast());
    }
}
