//! What the tests of programs need of Windows.

#![allow(dead_code, reason = "each program's tests use a part of this")]

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::{Child, Command};
use std::ptr;
use std::sync::{Mutex, PoisonError};
use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE, HANDLE};
use windows_sys::Win32::Storage::FileSystem::{CreateFileW, FILE_SHARE_READ, FILE_SHARE_WRITE, OPEN_EXISTING};
use windows_sys::Win32::System::Console::{
    ATTACH_PARENT_PROCESS, AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent, GetConsoleMode,
    GetStdHandle, STD_ERROR_HANDLE, STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetConsoleCtrlHandler,
    SetStdHandle,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{CREATE_NO_WINDOW, TerminateProcess};
use windows_sys::core::{BOOL, w};

/// What asks a program to end.
pub type Interrupt = u32;

/// All of them, Ctrl-C first. Wine knows no Ctrl-Break.
pub const INTERRUPTS: &[Interrupt] = &[CTRL_C_EVENT];

/// What the system says of an address that another socket has; its words are those of the user's language.
pub const IN_USE: &str = "os error 10048";
/// What it says of one where nobody listens.
pub const REFUSED: &str = "os error 10061";
/// A backend that this platform has not.
pub const ABSENT_BACKEND: &str = "readiness";

/// While a process is on another console, its children would inherit that one's streams.
static ONE_CONSOLE: Mutex<()> = Mutex::new(());

/// Starts a child as `send` needs it: on a console of its own, which nobody sees.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let _here = ONE_CONSOLE.lock().unwrap_or_else(PoisonError::into_inner);
    command.creation_flags(CREATE_NO_WINDOW).spawn()
}

/// Presses Ctrl-C on a child's console. Every program on a console gets it, and a program has one console: so this one
/// leaves its own for a moment.
pub fn send(interrupt: Interrupt, child: &Child) {
    let _away = ONE_CONSOLE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE].map(Stream::of);
    // SAFETY: the handler is a function of this program; the other calls take no memory.
    let sent = unsafe {
        SetConsoleCtrlHandler(Some(swallow), 1);
        FreeConsole();
        let attached = AttachConsole(child.id()) != 0;
        attached && GenerateConsoleCtrlEvent(interrupt, 0) != 0
    };
    let error = io::Error::last_os_error();
    // SAFETY: the calls take no memory. There is no console to go back to where this was started without one.
    unsafe {
        FreeConsole();
        AttachConsole(ATTACH_PARENT_PROCESS);
    }
    before.into_iter().for_each(Stream::restore);
    assert!(sent, "{error}");
}

/// What was sent to a child comes here as well.
unsafe extern "system" fn swallow(_: u32) -> BOOL {
    1
}

/// Where a standard stream goes.
struct Stream {
    number: STD_HANDLE,
    handle: HANDLE,
    is_console: bool,
}

impl Stream {
    fn of(number: STD_HANDLE) -> Stream {
        let mut mode = 0;
        // SAFETY: the calls write one number; the second fails for what is no console.
        let (handle, is_console) = unsafe {
            let handle = GetStdHandle(number);
            (handle, GetConsoleMode(handle, &mut mode) != 0)
        };
        Stream { number, handle, is_console }
    }

    /// Lets it go there again: whoever goes to another console gets that one's streams, and a console that was left is
    /// not open any more.
    fn restore(self) {
        let (access, sharing) = (GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE);
        let name = if self.number == STD_INPUT_HANDLE { w!("CONIN$") } else { w!("CONOUT$") };
        // SAFETY: the name is a string that ends. The handle is for the rest of the process.
        unsafe {
            let handle = if self.is_console {
                CreateFileW(name, access, sharing, ptr::null(), OPEN_EXISTING, 0, ptr::null_mut())
            } else {
                self.handle
            };
            SetStdHandle(self.number, handle);
        }
    }
}

/// The right to kill a child from another thread.
pub struct Killer(OwnedHandle);

impl Killer {
    pub fn of(child: &Child) -> Killer {
        Killer(child.as_handle().try_clone_to_owned().expect("a handle"))
    }

    pub fn kill(&self) {
        // SAFETY: the handle is open; it names the child even when that has ended.
        unsafe { TerminateProcess(self.0.as_raw_handle(), 1) };
    }
}

/// The most memory that a living child had in use at once, in bytes.
pub fn peak_memory(child: &Child) -> u64 {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    // SAFETY: the handle is open, and the counters are writable and of this size.
    let told = unsafe { K32GetProcessMemoryInfo(child.as_raw_handle(), &mut counters, size_of_val(&counters) as u32) };
    assert_ne!(told, 0, "{}", io::Error::last_os_error());
    counters.PeakWorkingSetSize as u64
}

/// Whether a reset that comes while nobody reads looks like an end in order: so it does under Wine.
pub fn is_reset_told_as_fin() -> bool {
    // SAFETY: both names are strings that end; ntdll is in every process for as long as it lives.
    unsafe { GetProcAddress(GetModuleHandleW(w!("ntdll.dll")), c"wine_get_version".as_ptr().cast()) }.is_some()
}
