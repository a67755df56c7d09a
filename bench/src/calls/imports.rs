//! The program's own import table: the places where its code finds the functions of other modules, each of which can be
//! given another function to find. See
//! [the format](https://learn.microsoft.com/windows/win32/debug/pe-format#the-idata-section).

use crate::error::{Doing, Error};
use std::ffi::{CStr, c_void};
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use windows_sys::Win32::System::Diagnostics::Debug::IMAGE_DIRECTORY_ENTRY_IMPORT;
#[cfg(target_pointer_width = "32")]
use windows_sys::Win32::System::Diagnostics::Debug::IMAGE_NT_HEADERS32 as NtHeaders;
#[cfg(target_pointer_width = "64")]
use windows_sys::Win32::System::Diagnostics::Debug::IMAGE_NT_HEADERS64 as NtHeaders;
use windows_sys::Win32::System::LibraryLoader::GetModuleHandleW;
use windows_sys::Win32::System::Memory::{PAGE_READWRITE, VirtualProtect};
use windows_sys::Win32::System::SystemServices::{IMAGE_DOS_HEADER, IMAGE_IMPORT_BY_NAME, IMAGE_IMPORT_DESCRIPTOR};

/// One imported function.
pub(super) struct Import {
    /// The module that it comes from, as the program names it.
    pub(super) module: &'static str,
    pub(super) name: &'static str,
    place: *mut usize,
}

impl Import {
    /// The address of the function that is found here.
    pub(super) fn address(&self) -> usize {
        // SAFETY: the place is in the import table, which stays for as long as the process.
        unsafe { self.place.read() }
    }

    /// Lets the program find another function here.
    ///
    /// # Safety
    /// The function has the signature of the one that was found here, and does what that one does.
    pub(super) unsafe fn replace(&self, function: usize) -> Result<(), Error> {
        let protect = |protection, before: &mut u32| {
            // SAFETY: the place is the program's own data; the call writes one number.
            unsafe { VirtualProtect(self.place.cast::<c_void>(), size_of::<usize>(), protection, before) }
        };
        let mut before = 0;
        if protect(PAGE_READWRITE, &mut before) == 0 {
            return Err(io::Error::last_os_error()).needed("changing the table of imported functions");
        }
        // SAFETY: the place is aligned, and in memory that can be written now. Others read it only, whole, at each
        // call.
        unsafe { AtomicUsize::from_ptr(self.place) }.store(function, Ordering::Release);
        protect(before, &mut 0);
        Ok(())
    }
}

/// All functions that this program imports by name.
pub(super) fn imports() -> Vec<Import> {
    let mut found = Vec::new();
    // SAFETY: without a name the call gives the address of this program's image.
    let image = unsafe { GetModuleHandleW(ptr::null()) }.cast::<u8>().cast_const();
    // SAFETY: the image was loaded by the system, which keeps it for as long as the process and has followed these same
    // tables: what they say lies in the image, and lists end with zeros.
    unsafe {
        let headers = image.add((*image.cast::<IMAGE_DOS_HEADER>()).e_lfanew as usize).cast::<NtHeaders>();
        let table = (*headers).OptionalHeader.DataDirectory[usize::from(IMAGE_DIRECTORY_ENTRY_IMPORT)];
        let mut module = image.add(table.VirtualAddress as usize).cast::<IMAGE_IMPORT_DESCRIPTOR>();
        while (*module).Name != 0 {
            add_module(image, &*module, &mut found);
            module = module.add(1);
        }
    }
    found
}

/// Adds what is imported from one module.
///
/// # Safety
/// The descriptor is one of the loaded image's.
unsafe fn add_module(image: *const u8, descriptor: &IMAGE_IMPORT_DESCRIPTOR, found: &mut Vec<Import>) {
    // SAFETY: the caller's promise: a name that ends, and two tables of the same length that end with zero.
    unsafe {
        let module = text(image.add(descriptor.Name as usize));
        let mut wanted = image.add(descriptor.Anonymous.OriginalFirstThunk as usize).cast::<usize>();
        let mut place = image.add(descriptor.FirstThunk as usize).cast::<usize>().cast_mut();
        while *wanted != 0 {
            // The highest bit marks a number in the place of a name.
            if (*wanted).cast_signed() > 0 {
                let name = image.add(*wanted + std::mem::offset_of!(IMAGE_IMPORT_BY_NAME, Name));
                found.push(Import { module, name: text(name), place });
            }
            (wanted, place) = (wanted.add(1), place.add(1));
        }
    }
}

/// # Safety
/// There is a string that ends, and that stays for as long as the process.
unsafe fn text(start: *const u8) -> &'static str {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(start.cast()) }.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_imports_is_found() {
        let imports = imports();
        let modules =
            |name: &str| imports.iter().filter(move |import| import.module.eq_ignore_ascii_case(name)).count();
        assert!(modules("ws2_32.dll") > 0 && modules("kernel32.dll") > 0);
        let protect = imports.iter().find(|import| import.name == "VirtualProtect").expect("called in this file");
        assert_ne!(protect.address(), 0);
    }
}
