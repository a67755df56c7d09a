//! The portable error codes, one table for Rust and C.

use std::{fmt, io};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $value:literal, $c:literal, $text:literal;)+) => {
        /// A portable error code. The numbers are the ABI of the C interface (`SOCKET_IOCP_E_…`) and never change.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ $name = $value,)+
        }

        impl ErrorCode {
            /// Every code, in the order of its number.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name),+];

            /// The code's name in C.
            pub const fn c_name(self) -> &'static str {
                match self { $(ErrorCode::$name => concat!("SOCKET_IOCP_", $c)),+ }
            }

            /// One line that says what happened.
            pub const fn text(self) -> &'static str {
                match self { $(ErrorCode::$name => $text),+ }
            }

            /// The code with this number, if there is one.
            pub const fn from_number(number: i32) -> Option<ErrorCode> {
                match number { $($value => Some(ErrorCode::$name),)+ _ => None }
            }
        }
    };
}

codes! {
    /// A NULL pointer where one is needed (C only).
    NullPointer = -1, "E_NULL_POINTER", "a pointer that is needed is NULL";
    /// An argument or option outside its documented range.
    InvalidArgument = -2, "E_INVALID_ARGUMENT", "an argument is outside its documented range";
    /// A read buffer size of zero, or above the documented maximum.
    BufferSize = -3, "E_BUFFER_SIZE", "the read buffer size is zero or above the maximum";
    /// A value that never was a handle of this library.
    BadHandle = -4, "E_BAD_HANDLE", "not a handle of this library";
    /// The port or socket has been closed, or is being closed.
    Closed = -5, "E_CLOSED", "the port or socket is closed or closing";
    /// A live handle that belongs to another port.
    WrongPort = -6, "E_WRONG_PORT", "the handle belongs to another port";
    /// The number is not an open descriptor.
    BadSocket = -7, "E_BAD_SOCKET", "not an open descriptor";
    /// The descriptor is open but no socket.
    NotSocket = -8, "E_NOT_SOCKET", "the descriptor is not a socket";
    /// The socket is not a stream socket.
    NotStream = -9, "E_NOT_STREAM", "the socket is not a stream socket";
    /// A listening socket was given where a connected one is needed.
    Listening = -10, "E_LISTENING", "the socket is listening, a connected one is needed";
    /// A socket that does not listen was given where a listening one is needed.
    NotListening = -11, "E_NOT_LISTENING", "the socket is not listening";
    /// The socket is not connected.
    NotConnected = -12, "E_NOT_CONNECTED", "the socket is not connected";
    /// The socket is in a port already.
    AlreadyAdded = -13, "E_ALREADY_ADDED", "the socket is in a port already";
    /// The socket is in no port, or not in this one.
    NotAdded = -14, "E_NOT_ADDED", "the socket is not in this port";
    /// A recv or sync send is outstanding already, or another thread runs the port.
    Busy = -15, "E_BUSY", "one is outstanding already";
    /// The peer has sent its FIN and everything before it has been received.
    Eof = -16, "E_EOF", "the peer has finished sending";
    /// The sending side has been shut down.
    Shutdown = -17, "E_SHUTDOWN", "the sending side has been shut down";
    /// The socket's queue of sends is at its limit; nothing was queued.
    QueueFull = -18, "E_QUEUE_FULL", "the send queue is at its limit";
    /// Memory was refused.
    NoMemory = -19, "E_NO_MEMORY", "out of memory";
    /// A limit of the port was reached (sockets, taken buffers).
    Limit = -20, "E_LIMIT", "a limit of the port is reached";
    /// The platform or backend cannot do this.
    Unsupported = -21, "E_UNSUPPORTED", "not supported by this platform or backend";
    /// The backend that was asked for is not to be had.
    BackendUnavailable = -22, "E_BACKEND_UNAVAILABLE", "the backend asked for is not to be had";
    /// The call is not allowed here (see its documentation).
    WrongContext = -23, "E_WRONG_CONTEXT", "the call is not allowed in this place";
    /// The operation was cancelled, by a call or by the end of its socket.
    Cancelled = -24, "E_CANCELLED", "cancelled";
    /// A time limit ended it.
    TimedOut = -25, "E_TIMED_OUT", "timed out";
    /// The peer, or something between, has reset the connection.
    Reset = -26, "E_RESET", "connection reset by peer";
    /// The connection was ended by the local side of the network.
    ConnectionAborted = -27, "E_CONNECTION_ABORTED", "connection aborted";
    /// The peer no longer takes data (Unix sockets; an internet socket has then been reset, and says so).
    BrokenPipe = -28, "E_BROKEN_PIPE", "the peer no longer takes data";
    /// The peer's host or network cannot be reached.
    Unreachable = -29, "E_UNREACHABLE", "host or network unreachable";
    /// The connection was refused.
    Refused = -30, "E_REFUSED", "connection refused";
    /// The caller closed the SOCKET while the library owned it.
    ForeignClose = -31, "E_FOREIGN_CLOSE", "the socket was closed behind the library's back";
    /// The socket's handler panicked.
    Panic = -32, "E_PANIC", "the handler panicked";
    /// The process or the system has no descriptor left.
    NoDescriptors = -33, "E_NO_DESCRIPTORS", "no descriptor left";
    /// An operating system error without a portable code; the OS code tells which.
    Os = -34, "E_OS", "operating system error";
    /// No such operation is outstanding.
    NotOutstanding = -35, "E_NOT_OUTSTANDING", "no such operation is outstanding";
    /// The socket is connected already.
    AlreadyConnected = -36, "E_ALREADY_CONNECTED", "the socket is connected already";
    /// The socket is not a datagram socket.
    NotDatagram = -37, "E_NOT_DATAGRAM", "the socket is not a datagram socket";
    /// The datagram is longer than the system sends as one.
    MessageSize = -38, "E_MESSAGE_SIZE", "the datagram is longer than the system sends";
    /// The resolver has found no address of the host; the OS code is that of getaddrinfo(3).
    Unresolved = -39, "E_UNRESOLVED", "the host name was not resolved";
    /// A file ended before the range of it that was to be sent.
    FileTooShort = -40, "E_FILE_TOO_SHORT", "the file ends before the range that was to be sent";
}

/// An error: the portable code, and the operating system's own code where one stands behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error {
    code: ErrorCode,
    os: i32,
}

impl Error {
    /// An error of the library's own, with no operating system code.
    pub const fn new(code: ErrorCode) -> Error {
        Error { code, os: 0 }
    }

    /// A portable code with the operating system code behind it (`errno`, or a Windows error).
    pub const fn with_os(code: ErrorCode, os: i32) -> Error {
        Error { code, os }
    }

    /// The error for an operating system code (`errno`).
    pub fn from_os(os: i32) -> Error {
        Error { code: crate::sys::portable_code(os), os }
    }

    /// The portable code.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The operating system's code, if one stands behind the error; of [`ErrorCode::Unresolved`] that of getaddrinfo(3), `EAI_…`.
    pub const fn os_error(&self) -> Option<i32> {
        if self.os == 0 { None } else { Some(self.os) }
    }
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Error {
        Error::new(code)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.os_error() {
            None => write!(f, "Error({:?})", self.code),
            Some(os) => write!(f, "Error({:?}, os {os})", self.code),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.os_error() {
            None => f.write_str(self.code.text()),
            Some(os) if self.code == ErrorCode::Unresolved => {
                write!(f, "{}: {}", self.code.text(), crate::sys::resolver_text(os))
            }
            Some(os) => write!(f, "{}: {}", self.code.text(), io::Error::from_raw_os_error(os)),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        use io::ErrorKind as Kind;
        if let Some(os) = error.os_error().filter(|_| error.code != ErrorCode::Unresolved) {
            return io::Error::from_raw_os_error(os);
        }
        let kind = match error.code {
            ErrorCode::InvalidArgument | ErrorCode::BufferSize | ErrorCode::NullPointer | ErrorCode::BadHandle => {
                Kind::InvalidInput
            }
            ErrorCode::NotConnected => Kind::NotConnected,
            ErrorCode::Busy => Kind::ResourceBusy,
            ErrorCode::Eof | ErrorCode::FileTooShort => Kind::UnexpectedEof,
            ErrorCode::NoMemory => Kind::OutOfMemory,
            ErrorCode::Unsupported | ErrorCode::BackendUnavailable => Kind::Unsupported,
            ErrorCode::TimedOut => Kind::TimedOut,
            ErrorCode::Reset => Kind::ConnectionReset,
            ErrorCode::ConnectionAborted => Kind::ConnectionAborted,
            ErrorCode::BrokenPipe | ErrorCode::Shutdown => Kind::BrokenPipe,
            ErrorCode::Refused => Kind::ConnectionRefused,
            ErrorCode::Unresolved => Kind::NotFound,
            ErrorCode::QueueFull | ErrorCode::Limit => Kind::QuotaExceeded,
            _ => Kind::Other,
        };
        io::Error::new(kind, error)
    }
}
