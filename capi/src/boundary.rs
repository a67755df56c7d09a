//! What every entry goes through: the panic boundary, the result as C sees it, and structs that carry their size.

use crate::platform;
use engine::{Error, ErrorCode};
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::{self, NonNull};

/// The largest `size` of a struct that is believed. A wild value must not make the library read or clear memory far
/// behind the struct.
const MAX_STRUCT_SIZE: usize = 4096;

/// Runs an entry's body, unless this is a forked child; nothing unwinds out of it. A failure's operating system code
/// goes to `errno` last, and `errno` is as it was if there is none.
pub(crate) fn guarded<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, c_int> {
    if engine::is_forked_child() {
        return Err(ErrorCode::Closed as c_int);
    }
    let os_before = platform::os_error();
    // The engine keeps its own state whole when it panics, and the body's borrows end here.
    let error = match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(payload) => {
            // Its drop is foreign code, which could panic again: the payload of that one is leaked.
            if let Err(again) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(again);
            }
            ErrorCode::Panic.into()
        }
    };
    platform::set_os_error(error.os_error().unwrap_or(os_before));
    Err(error.code() as c_int)
}

/// An entry that returns 0 or a negative code.
pub(crate) fn status(body: impl FnOnce() -> Result<(), Error>) -> c_int {
    match guarded(body) {
        Ok(()) => 0,
        Err(code) => code,
    }
}

/// A pointer that must not be NULL.
pub(crate) fn required<T>(pointer: *mut T) -> Result<NonNull<T>, Error> {
    NonNull::new(pointer).ok_or(ErrorCode::NullPointer.into())
}

/// The `size` that a struct of the caller's starts with, if it can be one.
fn believable_size(size: usize) -> Result<usize, Error> {
    if (size_of::<usize>()..=MAX_STRUCT_SIZE).contains(&size) {
        Ok(size)
    } else {
        Err(ErrorCode::InvalidArgument.into())
    }
}

/// Copies a struct in that starts with its size. Members that a smaller one lacks are zero; a larger one may have only
/// zero bytes behind those known, since a member that is asked for and not understood must not be ignored.
///
/// # Safety
/// `given` points to a `size_t` and, from there on, that many readable bytes. `T` is `repr(C)`, starts with a `usize`,
/// and all bytes zero is a valid value of each of its members, as is whatever a C program may store there.
pub(crate) unsafe fn copy_in<T: Copy>(given: NonNull<T>) -> Result<T, Error> {
    // SAFETY: the caller's promise; C may have placed it anywhere.
    let size = believable_size(unsafe { given.cast::<usize>().read_unaligned() })?;
    let bytes = given.cast::<u8>();
    for offset in size_of::<T>()..size {
        // SAFETY: `offset` is below the size that the caller promised.
        if unsafe { bytes.add(offset).read() } != 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
    }
    let mut copy = MaybeUninit::<T>::zeroed();
    // SAFETY: both have the number of bytes copied, and `T` takes any value C may have stored, by the caller's promise.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), copy.as_mut_ptr().cast(), size.min(size_of::<T>()));
        Ok(copy.assume_init())
    }
}

/// Copies a struct out into one of the caller's that starts with its size: as much as fits; bytes behind those known
/// become zero; the size stays. Padding in `T` is copied as it lies.
///
/// # Safety
/// `given` points to a `size_t` and, from there on, that many writable bytes. `T` is `repr(C)` and starts with a
/// `usize`.
pub(crate) unsafe fn copy_out<T: Copy>(value: &T, given: NonNull<T>) -> Result<(), Error> {
    // SAFETY: the caller's promise; C may have placed it anywhere.
    let size = believable_size(unsafe { given.cast::<usize>().read_unaligned() })?;
    let known = size.min(size_of::<T>());
    let start = size_of::<usize>();
    // SAFETY: all offsets are within the size that the caller promised, and within `T` on the reading side.
    unsafe {
        let to = given.cast::<u8>();
        let from = ptr::from_ref(value).cast::<u8>();
        ptr::copy_nonoverlapping(from.add(start), to.as_ptr().add(start), known - start);
        ptr::write_bytes(to.as_ptr().add(known), 0, size - known);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Options;

    /// A struct of a later version, with two members more.
    #[repr(C)]
    struct Later {
        known: Options,
        more: [u64; 2],
    }

    fn zeroed_options(size: usize) -> Options {
        Options {
            size,
            threads: 0,
            backend: 0,
            linger_ms: 0,
            max_queued_sends: 0,
            max_queued_bytes: 0,
            idle_timeout_ms: 0,
            max_sockets: 0,
            max_taken_buffers: 0,
            listen_error_callback_function: None,
            idle_reads: 0,
            skip_on_success: 0,
            pin_workers: 0,
            busy_poll_us: 0,
            zero_copy_from: 0,
            sqpoll_idle_ms: 0,
            high_watermark: 0,
            low_watermark: 0,
            max_port_queued_bytes: 0,
            watermark_callback_function: None,
            shutdown_closes_idle: 0,
            multishot_recv: 0,
            timer_callback_function: None,
            connect_callback_function: None,
            datagram_callback_function: None,
        }
    }

    fn read(given: &mut Options) -> Result<Options, Error> {
        // SAFETY: `given` is a whole struct, and each test's size stays within what lies behind it.
        unsafe { copy_in(NonNull::from(given)) }
    }

    #[test]
    fn a_panic_becomes_a_code_and_leaves_errno() {
        panic::set_hook(Box::new(|_| {}));
        platform::set_os_error(77);
        assert_eq!(status(|| panic!("test")), ErrorCode::Panic as c_int);
        assert_eq!(platform::os_error(), 77);
        let _ = panic::take_hook();
    }

    #[test]
    fn the_os_code_goes_to_errno() {
        platform::set_os_error(0);
        assert_eq!(status(|| Err(Error::with_os(ErrorCode::Reset, 104))), ErrorCode::Reset as c_int);
        assert_eq!(platform::os_error(), 104);
    }

    #[test]
    fn a_smaller_struct_is_filled_up_with_zeros() {
        let mut options = zeroed_options(std::mem::offset_of!(Options, linger_ms));
        (options.threads, options.linger_ms) = (3, 7);
        let copy = read(&mut options).expect("a smaller struct is accepted");
        assert_eq!((copy.threads, copy.linger_ms), (3, 0));
    }

    #[test]
    fn a_larger_struct_must_end_in_zeros() {
        let mut later = Later { known: zeroed_options(size_of::<Later>()), more: [0; 2] };
        let whole = NonNull::from(&mut later).cast::<Options>();
        // SAFETY: the pointer is to the whole larger struct, whose size it holds.
        assert!(unsafe { copy_in(whole) }.is_ok());
        later.more[1] = 1;
        let whole = NonNull::from(&mut later).cast::<Options>();
        // SAFETY: as above.
        let refused = unsafe { copy_in(whole) }.err().map(|error| error.code());
        assert_eq!(refused, Some(ErrorCode::InvalidArgument));
    }

    #[test]
    fn a_wild_size_is_refused() {
        for size in [0, 1, size_of::<usize>() - 1, MAX_STRUCT_SIZE + 1, usize::MAX] {
            assert!(read(&mut zeroed_options(size)).is_err(), "{size}");
        }
    }

    #[test]
    fn a_struct_is_copied_out_as_far_as_it_fits() {
        let mut value = zeroed_options(0);
        (value.threads, value.linger_ms) = (1, 2);
        let mut given = Later { known: zeroed_options(size_of::<Later>()), more: [9; 2] };
        let whole = NonNull::from(&mut given).cast::<Options>();
        // SAFETY: the pointer is to the whole larger struct, whose size it holds.
        unsafe { copy_out(&value, whole) }.expect("the size is right");
        assert_eq!((given.known.threads, given.known.linger_ms, given.more), (1, 2, [0; 2]));
        assert_eq!(given.known.size, size_of::<Later>());

        let mut small = zeroed_options(std::mem::offset_of!(Options, linger_ms));
        small.linger_ms = 8;
        // SAFETY: the struct has more bytes than its size says.
        unsafe { copy_out(&value, NonNull::from(&mut small)) }.expect("the size is right");
        assert_eq!((small.threads, small.linger_ms), (1, 8));
    }
}
