//! What this Windows is, and what its completion ports can do.

use socket2::{Domain, Socket, Type};
use std::ffi::{CStr, c_char};
use std::io;
use std::os::windows::io::{AsRawHandle, AsRawSocket, FromRawHandle, OwnedHandle};
use std::ptr;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_COMPLETION_INFORMATION, FileReplaceCompletionInformation, NtSetInformationFile,
};
use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE, RtlNtStatusToDosError};
use windows_sys::Win32::Networking::WinSock::{IPPROTO_TCP, WSAEnumProtocolsW, WSAPROTOCOL_INFOW, XP1_IFS_HANDLES};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::System::IO::{CreateIoCompletionPort, IO_STATUS_BLOCK};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::SystemInformation::{
    GetNativeSystemInfo, OSVERSIONINFOW, PROCESSOR_ARCHITECTURE_AMD64, PROCESSOR_ARCHITECTURE_ARM64,
    PROCESSOR_ARCHITECTURE_INTEL, SYSTEM_INFO,
};
use windows_sys::core::w;

/// `FILE_SKIP_COMPLETION_PORT_ON_SUCCESS` of winbase.h.
const SKIP_ON_SUCCESS: u8 = 1;

/// A provider of TCP sockets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provider {
    pub name: String,
    /// Whether its sockets are handles of the file system's: only then may completions be skipped.
    pub has_file_handles: bool,
}

/// The version of Windows, as `10.0.19045`. Not GetVersionEx: that one tells what the program's manifest wants to hear.
pub fn version() -> String {
    let mut version = OSVERSIONINFOW { dwOSVersionInfoSize: size_of::<OSVERSIONINFOW>() as u32, ..Default::default() };
    // SAFETY: the structure is writable and says its size. The call always succeeds.
    unsafe { RtlGetVersion(&mut version) };
    format!("{}.{}.{}", version.dwMajorVersion, version.dwMinorVersion, version.dwBuildNumber)
}

/// Wine's own version, if this is Wine.
pub fn wine_version() -> Option<String> {
    // SAFETY: both names are strings that end; ntdll is in every process for as long as it lives.
    let function = unsafe {
        let ntdll = GetModuleHandleW(w!("ntdll.dll"));
        GetProcAddress(ntdll, c"wine_get_version".as_ptr().cast())
    }?;
    // SAFETY: only Wine has a function of this name, which takes nothing and returns a string that lives for ever.
    let version = unsafe {
        let function: unsafe extern "C" fn() -> *const c_char = std::mem::transmute(function);
        CStr::from_ptr(function())
    };
    Some(version.to_string_lossy().into_owned())
}

/// The machine's architecture, whatever this program was built for.
pub fn machine() -> &'static str {
    let mut info = SYSTEM_INFO::default();
    // SAFETY: the structure is writable for the call, which fills this part of it.
    let architecture = unsafe {
        GetNativeSystemInfo(&mut info);
        info.Anonymous.Anonymous.wProcessorArchitecture
    };
    match architecture {
        PROCESSOR_ARCHITECTURE_AMD64 => "x86_64",
        PROCESSOR_ARCHITECTURE_ARM64 => "aarch64",
        PROCESSOR_ARCHITECTURE_INTEL => "x86",
        _ => "unknown",
    }
}

/// The providers of TCP sockets, in the system's order.
pub fn tcp_providers() -> io::Result<Vec<Provider>> {
    // std starts Winsock with its first socket.
    let _socket = tcp_socket()?;
    let protocols = [IPPROTO_TCP, 0];
    let mut bytes = 0u32;
    // SAFETY: without a buffer the call only tells how many bytes it needs.
    unsafe { WSAEnumProtocolsW(protocols.as_ptr(), ptr::null_mut(), &mut bytes) };
    let mut found = vec![WSAPROTOCOL_INFOW::default(); (bytes as usize).div_ceil(size_of::<WSAPROTOCOL_INFOW>())];
    // SAFETY: the call writes at most `bytes` bytes, for which there is room.
    let count = unsafe { WSAEnumProtocolsW(protocols.as_ptr(), found.as_mut_ptr(), &mut bytes) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    let provider = |info: &WSAPROTOCOL_INFOW| Provider {
        name: info.szProtocol.split(|unit| *unit == 0).next().map(String::from_utf16_lossy).unwrap_or_default(),
        has_file_handles: info.dwServiceFlags1 & XP1_IFS_HANDLES != 0,
    };
    Ok(found.iter().take(count).map(provider).collect())
}

/// Whether a socket can be told to send no completion for what succeeds at once; the error says why not.
pub fn skips_on_success() -> io::Result<()> {
    let socket = tcp_socket()?;
    // SAFETY: the call takes no memory, and the socket is open.
    match unsafe { SetFileCompletionNotificationModes(socket.as_raw_socket() as HANDLE, SKIP_ON_SUCCESS) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whether a socket can be taken off its completion port and go to another one; the error says why not.
pub fn leaves_its_port() -> io::Result<()> {
    let socket = tcp_socket()?;
    let (first, second) = (CompletionPort::new()?, CompletionPort::new()?);
    first.tie(&socket)?;
    let none = FILE_COMPLETION_INFORMATION { Port: ptr::null_mut(), Key: ptr::null_mut() };
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: the information of this class is as given; it and the status are there for the call.
    let answer = unsafe {
        NtSetInformationFile(
            socket.as_raw_socket() as HANDLE,
            &mut status,
            (&raw const none).cast(),
            size_of::<FILE_COMPLETION_INFORMATION>() as u32,
            FileReplaceCompletionInformation,
        )
    };
    if answer < 0 {
        // SAFETY: the call takes no memory.
        return Err(io::Error::from_raw_os_error(unsafe { RtlNtStatusToDosError(answer) } as i32));
    }
    second.tie(&socket)
}

fn tcp_socket() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM, None)
}

struct CompletionPort(OwnedHandle);

impl CompletionPort {
    fn new() -> io::Result<CompletionPort> {
        // SAFETY: the call takes no memory.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
        if port.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle is new and nobody else's.
        Ok(CompletionPort(unsafe { OwnedHandle::from_raw_handle(port) }))
    }

    fn tie(&self, socket: &Socket) -> io::Result<()> {
        // SAFETY: the call takes no memory; both handles are open.
        let tied = unsafe { CreateIoCompletionPort(socket.as_raw_socket() as HANDLE, self.0.as_raw_handle(), 0, 0) };
        if tied.is_null() { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_three_numbers() {
        assert_eq!(version().split('.').filter(|number| number.parse::<u32>().is_ok()).count(), 3, "{}", version());
    }

    #[test]
    fn there_is_a_provider_of_tcp() {
        let providers = tcp_providers().expect("Winsock");
        assert!(providers.iter().any(|provider| !provider.name.is_empty()), "{providers:?}");
    }

    #[test]
    fn a_socket_that_is_tied_already_is_told() {
        let socket = tcp_socket().expect("a socket");
        let (first, second) = (CompletionPort::new().expect("a port"), CompletionPort::new().expect("a port"));
        first.tie(&socket).expect("a new socket");
        second.tie(&socket).expect_err("it has a port");
    }
}
