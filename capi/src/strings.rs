//! Texts for C: they end in a zero byte, live as long as the library, and are made when it is compiled.

use engine::{BackendKind, ErrorCode};
use std::ffi::{CStr, c_char, c_int};

pub(crate) const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version has no zero byte"),
};

/// Bytes for one text; a longer one does not compile.
const TEXT_SIZE: usize = 112;

type Text = [u8; TEXT_SIZE];

/// One text a code, in the order of `ErrorCode::ALL`: "SOCKET_IOCP_E_BUSY: one is outstanding already".
static TEXTS: [Text; ErrorCode::ALL.len()] = {
    let mut texts = [[0; TEXT_SIZE]; ErrorCode::ALL.len()];
    let mut index = 0;
    while index < texts.len() {
        let code = ErrorCode::ALL[index];
        let end = append(&mut texts[index], 0, code.c_name());
        let end = append(&mut texts[index], end, ": ");
        append(&mut texts[index], end, code.text());
        index += 1;
    }
    texts
};

const fn append(text: &mut Text, mut end: usize, more: &str) -> usize {
    let more = more.as_bytes();
    let mut index = 0;
    while index < more.len() {
        assert!(more[index] != 0 && end + 1 < TEXT_SIZE, "the text does not fit");
        text[end] = more[index];
        (index, end) = (index + 1, end + 1);
    }
    end
}

/// `socket_iocp_strerror`.
pub(crate) fn error_text(code: c_int) -> &'static CStr {
    if code == 0 {
        return c"success";
    }
    let index = ErrorCode::ALL.iter().position(|known| *known as c_int == code);
    index.and_then(|index| CStr::from_bytes_until_nul(&TEXTS[index]).ok()).unwrap_or(c"unknown error code")
}

/// `socket_iocp_backend_name`.
pub(crate) fn backend_name(number: u32) -> &'static CStr {
    match crate::ports::backend_of(number) {
        Some(BackendKind::IoUring) => c"io_uring",
        Some(BackendKind::Readiness) => c"readiness",
        Some(BackendKind::Iocp) => c"iocp",
        _ => c"unknown",
    }
}

/// Copies as much of a text as fits, and a zero byte. Does nothing if `to` is NULL or has no room.
///
/// # Safety
/// `to` is NULL or has `size` writable bytes.
pub(crate) unsafe fn copy_text(text: &str, to: *mut c_char, size: usize) {
    if to.is_null() || size == 0 {
        return;
    }
    let mut length = text.len().min(size - 1);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    // SAFETY: `length` is below `size`, by the caller's promise.
    unsafe {
        text.as_ptr().cast::<c_char>().copy_to_nonoverlapping(to, length);
        to.add(length).write(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_it_must_be() {
        for (size, expected) in [(1, ""), (4, "abc"), (5, "abc"), (6, "abcé"), (9, "abcé")] {
            let mut buffer = [1; 10];
            // SAFETY: the buffer has at least `size` bytes.
            unsafe { copy_text("abcé", buffer.as_mut_ptr(), size) };
            let bytes: Vec<u8> = buffer.iter().map(|byte| *byte as u8).collect();
            let text = CStr::from_bytes_until_nul(&bytes).expect("a zero byte");
            assert_eq!(text.to_str(), Ok(expected), "{size}");
            assert!(bytes[size..].iter().all(|byte| *byte == 1), "nothing is written behind the buffer");
        }
    }

    #[test]
    fn backends_have_the_names_that_the_environment_takes() {
        for kind in [BackendKind::IoUring, BackendKind::Readiness, BackendKind::Iocp] {
            assert_eq!(backend_name(kind as u32).to_str(), Ok(kind.name()));
        }
        assert_eq!(backend_name(0), c"unknown");
        assert_eq!(backend_name(4), c"unknown");
    }
}
