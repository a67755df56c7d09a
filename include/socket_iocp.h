/*
 * socket_iocp.h - completion ports for sockets, everywhere.
 *
 * A PORT owns sockets and worker threads. A program adds listening and connected stream sockets to it (IPv4, IPv6, Unix), and
 * datagram sockets (UDP), ISSUES operations on them - recv, sync send, async send - and is called back when each has COMPLETED. Under the port is
 * what the system has for this: io_uring or epoll on Linux, kqueue on macOS and the BSDs, I/O completion ports on Windows.
 *
 * A server needs little more than this:
 *
 *     socket_iocp_new( &port, 4096, accepted, received, sent, ended );
 *     socket_iocp_add_listen_socket( port, listen_socket, 64, NULL );
 *
 * where accepted() issues the first recv, received() issues a send and sent() issues the next recv, each finding the
 * socket by socket_iocp_find_socket(). examples/c/echo.c is that server in full.
 *
 *
 * HANDLES
 *
 * A `socket_iocp_state` names a port, a `socket_iocp_socket_state` names a socket in it. Both are opaque and are no pointers:
 * the library looks them up. One that is dead, made up, or of another port is an error of the call and never undefined,
 * even when its place or its descriptor number have been used again.
 *
 *
 * RESULTS
 *
 * An `int` result is 0 for success, else one of the negative codes below; socket_iocp_strerror() tells what it means. Where
 * an operating system error stands behind a code, it is in errno (Windows: WSAGetLastError()); where none does, a failed
 * call leaves errno as it was. A call that fails has changed nothing: what was given to it is still the caller's, and no
 * callback comes of it. These errors can come of many calls and are not repeated at each of them:
 *
 *   SOCKET_IOCP_E_NULL_POINTER   a pointer that is needed is NULL (every pointer is, unless it says otherwise)
 *   SOCKET_IOCP_E_BAD_HANDLE     the port or socket handle never was one
 *   SOCKET_IOCP_E_CLOSED         the port has been deleted or is being deleted; the socket has ended or is ending; or
 *                                this is a forked child
 *   SOCKET_IOCP_E_WRONG_PORT     the socket is alive, in another port
 *   SOCKET_IOCP_E_NO_MEMORY      memory was refused
 *   SOCKET_IOCP_E_PANIC          a defect of the library was caught at its border
 *
 *
 * THREADS
 *
 * 1. A port has its own worker threads: socket_iocp_new() returns with them running, and callbacks come on them. (A port
 *    with none is driven by its owner: see socket_iocp_run().)
 * 2. Every call may be made from any thread, any number at once, and from inside any callback, unless it says otherwise. No
 *    lock of the library is held while a callback runs, and no callback is ever run inside an issue call.
 * 3. A socket stays with one worker. The callbacks of one connected socket never overlap and come in the order of the
 *    events: state that only they touch needs no lock. Callbacks of different sockets run in parallel; those of one listen
 *    socket may, too, since each accept callback runs on the accepted socket's worker.
 * 4. A callback that blocks delays the sockets of its own worker, and no others.
 * 5. In a forked child of a process that has made a port every call is SOCKET_IOCP_E_CLOSED (socket_iocp_new(), too) and
 *    socket_iocp_delete() does nothing. Every descriptor of the library is close-on-exec, its threads block all signals, and
 *    nothing that it does raises SIGPIPE.
 *
 *
 * OPERATIONS AND COMPLETIONS
 *
 * 1. An operation whose issue call returned 0 is reported exactly once, whatever happens: success, error, cancel, close,
 *    delete. It is no longer outstanding when its callback is entered, so that the callback may issue the next one.
 * 2. A socket does nothing that was not issued. With no operation outstanding it is not watched: that it has failed is said
 *    by the next operation.
 * 3. recv: one outstanding per socket. One recv brings one recv callback with 1 to read_buffer_size bytes, or with 0 bytes for
 *    the end of the peer's sending (FIN); sending still works then. Data that comes while no recv is issued waits in the
 *    kernel, nothing is lost, and a reader that stops issuing pushes back on its peer.
 * 4. send: complete when every byte is with the operating system, never in part. The sends of one socket, sync and async
 *    mixed, from whatever threads, leave in the order in which their issue calls returned, are reported in that order, and
 *    are never interleaved with each other. One that is cancelled or times out alone is reported then, before those that were
 *    issued earlier and still wait.
 *    A SYNC send allocates nothing, and one may be outstanding per socket. An ASYNC send allocates one block, and any number
 *    may be outstanding. (The words are the ones of this interface's first version: both return at once, and both are
 *    reported by the send callback.)
 * 5. A callback tells no status; socket_iocp_result() does, inside it. A program that looks at nothing else may rely on this:
 *    a recv callback has bytes or FIN, unless its recv was cancelled or timed out alone; a send callback may report a send that
 *    failed because its socket has ended, and then the error callback follows, unless the send was cancelled or timed out alone.
 *    Nothing ends alone but what the program itself has cancelled or given a time limit.
 * 6. A time limit runs from its issue call. It is never over early; it is mostly some milliseconds late, and more if callbacks
 *    hold the socket's worker up. The longest is seven days (604,800,000 ms).
 *
 *
 * BUFFERS
 *
 * 1. read_buffer belongs to its socket from the recv callback on until the next recv is issued on that socket or the
 *    socket's error callback returns. Until then the program may read it, change it, and send it back on that same socket
 *    from where it lies; it issues the next recv when that send has completed. For any other use it takes the buffer:
 *    socket_iocp_take_buffer().
 * 2. write_buffer is the caller's. It stays valid and unchanged from the issue call until the send callback is entered. For small
 *    ones made on the spot, several at once, and one for many sockets: see "Other async sends".
 *
 *
 * ENDINGS
 *
 * 1. The error callback is the socket's FAREWELL: its last callback, exactly once, whatever ended it. What ends a socket: an
 *    operation that failed, socket_iocp_close_socket(), _abort_socket(), _remove_socket(), _delete(). A FIN does not, not even
 *    both ways: a program that has read the FIN and has sent all it wants closes the socket.
 * 2. Every send still outstanding is reported before, through the send callback, so that no per-write state is lost; one that
 *    had completed before the end reached it is reported as the success that it was. A recv still outstanding is reported
 *    by the farewell alone, a timer still outstanding by its callback, as cancelled.
 * 3. When the farewell returns, the SOCKET is closed (unless it was removed) and its handle is dead. From a successful add
 *    until then the SOCKET is the library's: it must not be closed, read or written by anybody else. Socket options may be
 *    set, but for SO_LINGER and the non-blocking mode. A SOCKET that was closed all the same does no harm to others: when its
 *    number comes into the port again, the old one bids farewell with SOCKET_IOCP_E_FOREIGN_CLOSE.
 *
 *
 * WINDOWS
 *
 * For Windows 10 and Windows Server 2016 and later.
 *
 * 1. This header brings in <winsock2.h>, which must come before <windows.h>: include it first, or define WIN32_LEAN_AND_MEAN.
 * 2. The library starts Winsock when the first port is made, and never cleans it up. A program that makes sockets, or asks
 *    getaddrinfo(), before it has a port calls WSAStartup() itself, as ever.
 * 3. What is said of errno holds for WSAGetLastError(), which shares its place with GetLastError(). One event has two codes: a
 *    call answers in Winsock's (10000 and up), a completion in the system's own. A reset is WSAECONNRESET or
 *    ERROR_NETNAME_DELETED; its portable code is SOCKET_IOCP_E_RESET.
 * 4. A socket must be made for overlapped operations, as socket() makes it and WSASocket() does with WSA_FLAG_OVERLAPPED,
 *    and must be on no completion port of somebody else's: else adding it is SOCKET_IOCP_E_UNSUPPORTED. Unix sockets are
 *    not served.
 * 5. A socket that was removed is off its completion port, a listen socket from its listen error callback on, and can be
 *    added again. Where the system cannot take it off (it can since Windows 8.1; Wine cannot), adding it again is
 *    SOCKET_IOCP_E_UNSUPPORTED, and what the program does with it must not wait for a completion port.
 * 6. The calls and the callbacks have the calling convention __cdecl, the compiler's default; on 32-bit x86 a program must not
 *    be compiled with another default (/Gr, /Gv, /Gz).
 * 7. The calls are imported without __declspec( dllimport ), so that the same program links with the DLL and with the static
 *    library; with the latter it needs the system's ws2_32, ntdll and userenv, and with MSVC's tools dbghelp.
 * 8. Neither socket_iocp_new() nor socket_iocp_delete() may be called in DllMain(): threads cannot start or end there.
 *
 *
 * CALLBACKS
 *
 * A callback must return: it must not be left by longjmp() or by a C++ exception, and its thread must not be ended in it.
 * The library stays loaded once a port has been made (one deleted from inside a callback finishes on its own threads).
 */
#ifndef SOCKET_IOCP_H
#define SOCKET_IOCP_H

#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#include <winsock2.h>
#else
#include <sys/socket.h>
#endif

#define SOCKET_IOCP_VERSION_MAJOR 0
#define SOCKET_IOCP_VERSION_MINOR 1
#define SOCKET_IOCP_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The names that Winsock gives to a socket's number and to an unsigned 32-bit number. A program that has its own meaning for
 * these names defines SOCKET_IOCP_NO_WINDOWS_TYPES before it includes this header, and writes int and uint32_t.
 */
#ifndef _WIN32
#ifndef SOCKET_IOCP_NO_WINDOWS_TYPES
typedef int SOCKET;
typedef uint32_t DWORD;
#ifndef INVALID_SOCKET
#define INVALID_SOCKET ( -1 )
#endif
#ifndef SOCKET_ERROR
#define SOCKET_ERROR ( -1 )
#endif
#else
/* For the prototypes of this header only; see its end. */
#ifndef SOCKET
#define SOCKET int
#define SOCKET_IOCP_UNDEFINE_SOCKET
#endif
#ifndef DWORD
#define DWORD uint32_t
#define SOCKET_IOCP_UNDEFINE_DWORD
#endif
#endif
#endif

/* The number of a file: a descriptor on POSIX, a HANDLE on Windows. */
#ifdef _WIN32
typedef HANDLE socket_iocp_file;
#else
typedef int socket_iocp_file;
#endif

/* The error codes. The numbers never change; new ones may come. */
enum socket_iocp_error {
    SOCKET_IOCP_E_NULL_POINTER = -1,         /* a pointer that is needed is NULL */
    SOCKET_IOCP_E_INVALID_ARGUMENT = -2,     /* an argument or option is outside its documented range */
    SOCKET_IOCP_E_BUFFER_SIZE = -3,          /* the read buffer size is 0 or above the maximum */
    SOCKET_IOCP_E_BAD_HANDLE = -4,           /* not a handle (or taken buffer) of this library */
    SOCKET_IOCP_E_CLOSED = -5,               /* the port or socket is closed or closing */
    SOCKET_IOCP_E_WRONG_PORT = -6,           /* a live handle, of another port */
    SOCKET_IOCP_E_BAD_SOCKET = -7,           /* not an open descriptor */
    SOCKET_IOCP_E_NOT_SOCKET = -8,           /* an open descriptor, but no socket */
    SOCKET_IOCP_E_NOT_STREAM = -9,           /* not a stream socket */
    SOCKET_IOCP_E_LISTENING = -10,           /* a listening socket where a connected one is needed */
    SOCKET_IOCP_E_NOT_LISTENING = -11,       /* a socket that does not listen where one that does is needed */
    SOCKET_IOCP_E_NOT_CONNECTED = -12,       /* the socket is not connected */
    SOCKET_IOCP_E_ALREADY_ADDED = -13,       /* the socket is in a port already */
    SOCKET_IOCP_E_NOT_ADDED = -14,           /* the socket is not in this port */
    SOCKET_IOCP_E_BUSY = -15,                /* a recv, sync send or timer is outstanding; another thread runs the port */
    SOCKET_IOCP_E_EOF = -16,                 /* the peer has finished sending and all of it has been received */
    SOCKET_IOCP_E_SHUTDOWN = -17,            /* the sending side has been shut down */
    SOCKET_IOCP_E_QUEUE_FULL = -18,          /* the socket's sends are at their limit; nothing was queued */
    SOCKET_IOCP_E_NO_MEMORY = -19,           /* memory was refused */
    SOCKET_IOCP_E_LIMIT = -20,               /* a limit of the port is reached (sockets, queued bytes, taken buffers) */
    SOCKET_IOCP_E_UNSUPPORTED = -21,         /* this platform or backend cannot do it */
    SOCKET_IOCP_E_BACKEND_UNAVAILABLE = -22, /* the backend that was asked for is not to be had */
    SOCKET_IOCP_E_WRONG_CONTEXT = -23,       /* the call is not allowed in this place */
    SOCKET_IOCP_E_CANCELLED = -24,           /* cancelled */
    SOCKET_IOCP_E_TIMED_OUT = -25,           /* a time limit ended it */
    SOCKET_IOCP_E_RESET = -26,               /* the connection was reset */
    SOCKET_IOCP_E_CONNECTION_ABORTED = -27,  /* the connection was ended on this side of the network */
    SOCKET_IOCP_E_BROKEN_PIPE = -28,         /* the peer no longer takes data */
    SOCKET_IOCP_E_UNREACHABLE = -29,         /* host or network unreachable */
    SOCKET_IOCP_E_REFUSED = -30,             /* connection refused */
    SOCKET_IOCP_E_FOREIGN_CLOSE = -31,       /* the SOCKET was closed while it was the library's */
    SOCKET_IOCP_E_PANIC = -32,               /* a defect was caught */
    SOCKET_IOCP_E_NO_DESCRIPTORS = -33,      /* the process or the system has no descriptor left */
    SOCKET_IOCP_E_OS = -34,                  /* another operating system error: errno tells which */
    SOCKET_IOCP_E_NOT_OUTSTANDING = -35,     /* no such operation is outstanding */
    SOCKET_IOCP_E_ALREADY_CONNECTED = -36,   /* the socket is connected already */
    SOCKET_IOCP_E_NOT_DATAGRAM = -37,        /* not a datagram socket */
    SOCKET_IOCP_E_MESSAGE_SIZE = -38,        /* the datagram is longer than the system sends */
    SOCKET_IOCP_E_UNRESOLVED = -39,          /* the host name was not resolved: gai_strerror() tells why */
    SOCKET_IOCP_E_FILE_TOO_SHORT = -40       /* the file ends before the range that was to be sent */
};


/* -------------------------------------------------------------------------------------------------------------------
 * The seven calls
 * ---------------------------------------------------------------------------------------------------------------- */

/*
 * Makes a port with every option at its default and stores its handle in *socket_iocp_state. Its workers are running when this
 * returns: one for each processor that the process may use.
 *
 *   read_buffer_size: the most bytes that one recv brings; 1 to 1 GiB. Buffers are taken from a pool when data is there; a
 *   socket that waits for data holds none.
 *
 *   accept_callback_function: a connection has come in on a listen socket. The addresses are valid until it returns (a Unix
 *   socket that has no name has an address of its family alone). *per_socket_user_state is NULL on entry; what it is on
 *   return comes with every later callback of the socket. Operations may be issued at once: socket_iocp_find_socket()
 *   tells the socket's handle. To refuse the connection, call socket_iocp_abort_socket() or socket_iocp_close_socket()
 *   here; the farewell follows. Runs on the accepted socket's worker.
 *
 *   recv_callback_function: a recv has completed. read_buffer has byte_count bytes and belongs to the socket, see BUFFERS.
 *   With byte_count 0 read_buffer is NULL: the peer has finished sending, and from now on a recv is SOCKET_IOCP_E_EOF; unless
 *   socket_iocp_result() reports a status, SOCKET_IOCP_E_CANCELLED or SOCKET_IOCP_E_TIMED_OUT: then this recv ended alone.
 *
 *   send_callback_function: a send, sync or async, has completed; its write buffer is the caller's again. If
 *   socket_iocp_result() reports a status, not every byte of it was sent, and the error callback will follow, unless this send
 *   was cancelled or timed out alone.
 *
 *   error_callback_function: the socket's farewell, see ENDINGS. socket_iocp_result() tells why: status 0 after close or remove,
 *   SOCKET_IOCP_E_CANCELLED after abort or delete, else the cause.
 *
 * Errors: SOCKET_IOCP_E_NULL_POINTER (a callback, too), SOCKET_IOCP_E_BUFFER_SIZE, SOCKET_IOCP_E_INVALID_ARGUMENT
 * (SOCKET_IOCP_THREADS has a wrong value), SOCKET_IOCP_E_BACKEND_UNAVAILABLE (SOCKET_IOCP_BACKEND names none that is to be
 * had), SOCKET_IOCP_E_NO_DESCRIPTORS, SOCKET_IOCP_E_LIMIT (65,520 ports at once; 240 on 32-bit systems),
 * SOCKET_IOCP_E_NO_MEMORY, SOCKET_IOCP_E_OS (a thread was refused).
 *
 * Environment: SOCKET_IOCP_BACKEND (io_uring, readiness, iocp) and SOCKET_IOCP_THREADS (1 to 1024) override backend and worker
 * count in the whole process.
 *
 * See io_uring_setup(2), epoll_create(2), pthread_create(3); CreateIoCompletionPort.
 */
int socket_iocp_new( void **socket_iocp_state, size_t read_buffer_size, void (*accept_callback_function)(SOCKET socket, struct sockaddr *local_address, struct sockaddr *remote_address, void *listen_socket_user_state, void **per_socket_user_state), void (*recv_callback_function)(SOCKET socket, void *read_buffer, DWORD byte_count, void *per_socket_user_state), void (*send_callback_function)( SOCKET socket, void *per_socket_user_state, void *per_write_user_state ), void (*error_callback_function)(SOCKET socket, void *per_socket_user_state) );

/*
 * Deletes a port: refuses new work, aborts every socket, delivers every completion and every farewell, joins the workers,
 * frees everything, and returns when all that is done and every call that was under way on the port has left it. A call
 * that comes later is SOCKET_IOCP_E_CLOSED; one that is made meanwhile, in a callback of the port, may still be accepted, and is
 * then reported like any other. Listen sockets are closed. Buffers that were taken stay valid.
 *
 * From inside a callback, of any port, it returns at once; the rest happens on the port's own threads. On a port without
 * threads it stops a socket_iocp_run() in progress and then runs the remaining callbacks itself.
 *
 * Of two threads that delete the same port at once, one does the work and the other returns at once. Does nothing if the
 * handle is NULL, dead or wrong, or in a forked child.
 */
void socket_iocp_delete( void *socket_iocp_state );

/*
 * Adds a listening stream socket. On success the SOCKET is the library's until socket_iocp_remove_listen_socket() returns or
 * the port is deleted. The accept callback comes for each connection, with listen_user_state.
 *
 *   accept_socket_backlog, at least 1, bounds the connections that have been taken from the kernel and not yet been given to an
 *   accept callback; that many accepts are kept ready (1,024 a worker at most) and topped up as they are used. It does not replace the backlog of
 *   listen(2), in which the kernel keeps connections before. socket_iocp_set_accept_backlog() changes it.
 *
 * A client that goes away before it is accepted and any shortage of descriptors or memory never end or spin a listener: it
 * pauses, counts that (accept_backoffs), and resumes by itself.
 *
 * Errors: SOCKET_IOCP_E_INVALID_ARGUMENT (backlog 0), SOCKET_IOCP_E_BAD_SOCKET, SOCKET_IOCP_E_NOT_SOCKET,
 * SOCKET_IOCP_E_NOT_STREAM, SOCKET_IOCP_E_NOT_LISTENING, SOCKET_IOCP_E_ALREADY_ADDED, SOCKET_IOCP_E_NO_DESCRIPTORS,
 * SOCKET_IOCP_E_UNSUPPORTED (Windows: see WINDOWS).
 *
 * See listen(2), accept(2); AcceptEx.
 */
int socket_iocp_add_listen_socket( void *socket_iocp_state, SOCKET socket, size_t accept_socket_backlog, void *listen_user_state );

/*
 * Adds a connected stream socket. On success the SOCKET is the library's until its farewell, and nothing happens on it until
 * an operation is issued. per_socket_user_state comes with every callback. socket_iocp_find_socket() tells the handle.
 *
 * Errors: SOCKET_IOCP_E_BAD_SOCKET, SOCKET_IOCP_E_NOT_SOCKET, SOCKET_IOCP_E_NOT_STREAM, SOCKET_IOCP_E_LISTENING,
 * SOCKET_IOCP_E_NOT_CONNECTED, SOCKET_IOCP_E_ALREADY_ADDED, SOCKET_IOCP_E_LIMIT (max_sockets), SOCKET_IOCP_E_UNSUPPORTED
 * (Windows: see WINDOWS).
 *
 * See connect(2), socketpair(2); CreateIoCompletionPort.
 */
int socket_iocp_add_connected_socket( void *socket_iocp_state, SOCKET socket, void *per_socket_user_state );

/*
 * Issues a recv. Its completion is one recv callback, or the farewell if the socket ends before.
 *
 * The socket's read buffer, if it still has one, is given up by this call: see BUFFERS.
 *
 * Errors: SOCKET_IOCP_E_BUSY (a recv is outstanding), SOCKET_IOCP_E_EOF (the FIN has been reported).
 *
 * See recv(2), WSARecv.
 */
int socket_iocp_issue_recv( void *socket_iocp_state, void *socket_iocp_socket_state );

/*
 * Issues a sync send: no memory is allocated, and one may be outstanding per socket. Its completion is one send callback with
 * per_write_user_state, when every byte is with the operating system or the socket has ended.
 *
 * Any length works. With number_bytes_to_write 0 nothing is sent, write_buffer may be NULL, and the send completes in its turn.
 *
 * Errors: SOCKET_IOCP_E_BUSY (a sync send is outstanding), SOCKET_IOCP_E_SHUTDOWN.
 *
 * See sendmsg(2), WSASend.
 */
int socket_iocp_issue_sync_send( void *socket_iocp_state, void *socket_iocp_socket_state, void *write_buffer, DWORD number_bytes_to_write, void *per_write_user_state );

/*
 * Issues an async send: at most one block of memory is allocated, and any number may be outstanding. Otherwise as
 * socket_iocp_issue_sync_send(); both may be mixed.
 *
 * Errors: SOCKET_IOCP_E_SHUTDOWN, SOCKET_IOCP_E_QUEUE_FULL (max_queued_sends, max_queued_bytes), SOCKET_IOCP_E_LIMIT
 * (max_port_queued_bytes), SOCKET_IOCP_E_NO_MEMORY.
 *
 * See sendmsg(2), WSASend.
 */
int socket_iocp_issue_async_send( void *socket_iocp_state, void *socket_iocp_socket_state, void *write_buffer, DWORD number_bytes_to_write, void *per_write_user_state );


/* -------------------------------------------------------------------------------------------------------------------
 * Other async sends
 *
 * All are async sends as socket_iocp_issue_async_send() issues them: in their turn among the others, limited and refused as they
 * are, reported by one send callback each.
 * ---------------------------------------------------------------------------------------------------------------- */

/*
 * Issues an async send of a copy of number_bytes_to_write bytes at data, which are the caller's again when this returns: for an
 * answer that is small and made on the spot, on the stack. The copy lies in the send's one block of memory.
 *
 * With number_bytes_to_write 0 data may be NULL. Errors: as socket_iocp_issue_async_send().
 */
int socket_iocp_issue_copied_send( void *socket_iocp_state, void *socket_iocp_socket_state, const void *data, DWORD number_bytes_to_write, void *per_write_user_state );

/* The most buffers of one vectored send. */
#define SOCKET_IOCP_MAX_BUFFERS 64

/* Bytes of a vectored send. */
struct socket_iocp_buffer {
    const void *data; /* may be NULL if length is 0 */
    size_t length;
};

/*
 * Issues an async send of several buffers as one, a header and a body say: their bytes leave one after the other with nothing in
 * between, and are one completion. buffers is an array of number_buffers descriptions, at most SOCKET_IOCP_MAX_BUFFERS, which is
 * the caller's again when this returns; the bytes that they describe stay valid and unchanged until the send callback is entered.
 * One block of memory is allocated, of 24 bytes a buffer more than for one.
 *
 * With number_buffers 0 nothing is sent, and buffers may be NULL. Errors: as socket_iocp_issue_async_send();
 * SOCKET_IOCP_E_INVALID_ARGUMENT (too many buffers, or more bytes than a ptrdiff_t counts).
 *
 * See sendmsg(2), WSASend.
 */
int socket_iocp_issue_vectored_send( void *socket_iocp_state, void *socket_iocp_socket_state, const struct socket_iocp_buffer *buffers, DWORD number_buffers, void *per_write_user_state );

/*
 * Makes memory one that many sends share, on any sockets of any ports, and stores its handle in *shared. From now on the length
 * bytes at data stay valid and unchanged until release( state ) is called, which is once: when socket_iocp_release_shared() has
 * been called and the callback of the last send of it has returned. release may be NULL.
 *
 * release is called on whatever thread lets go last: a worker, after a send callback; or that of the program, inside
 * socket_iocp_release_shared(), or inside a call of socket_iocp_issue_shared_send() that fails while another thread releases. It
 * is no callback of a port: socket_iocp_result() tells nothing of it. Any call may be made in it.
 *
 * Errors: SOCKET_IOCP_E_INVALID_ARGUMENT (length is more than a ptrdiff_t counts), SOCKET_IOCP_E_LIMIT (16,777,200 shared
 * buffers at once; 65,520 on 32-bit systems).
 */
int socket_iocp_share_buffer( const void *data, size_t length, void (*release)( void *state ), void *state, void **shared );

/*
 * Issues an async send of length bytes of a shared buffer, from offset on. One block of memory is allocated.
 *
 * Errors: as socket_iocp_issue_async_send(), where SOCKET_IOCP_E_BAD_HANDLE and SOCKET_IOCP_E_CLOSED are also said of the shared
 * buffer (it never was one; it has been released); SOCKET_IOCP_E_INVALID_ARGUMENT (not within it), SOCKET_IOCP_E_LIMIT
 * (1,073,741,823 sends of it outstanding).
 */
int socket_iocp_issue_shared_send( void *socket_iocp_state, void *socket_iocp_socket_state, void *shared, size_t offset, size_t length, void *per_write_user_state );

/* The length of a file send that goes to the end of the file. */
#define SOCKET_IOCP_TO_THE_END UINT64_MAX

/*
 * Issues an async send of length bytes of a file, from offset on, or with SOCKET_IOCP_TO_THE_END of all that there is now. One block
 * of memory is allocated.
 *
 *   file, a descriptor on POSIX and a HANDLE on Windows, is a regular file that is open for reading. It is the caller's, and stays
 *   open until the send callback is entered; any number of sends may be issued of it at once. Its own position is neither used nor
 *   changed on POSIX.
 *
 * A file that turns out to be shorter, or cannot be read, ends the socket by a reset, since what has gone cannot be taken back, and
 * the peer would take what comes next for the rest: the send callback has the status SOCKET_IOCP_E_FILE_TOO_SHORT, or what the
 * system's error is (SOCKET_IOCP_E_OS mostly, os_error tells), and in byte_count the bytes that had gone; sends behind it are
 * SOCKET_IOCP_E_CANCELLED, and the farewell has the same status.
 *
 * On io_uring the file is read by the ring, 64 KiB at a time into one of at most 64 such chunks of memory that a worker has; on epoll and
 * kqueue by the worker, into its one chunk, so that a slow disk holds up the worker's other sockets; on Windows by the system. Among
 * queued bytes (max_queued_bytes, max_port_queued_bytes, watermarks) the send counts as what may be in memory of it: its length, and
 * at most 65,536. Of its length a large file would be refused for ever.
 *
 * With length 0 nothing is sent, and the send completes in its turn. Errors: as socket_iocp_issue_async_send();
 * SOCKET_IOCP_E_NOT_STREAM (a datagram socket); SOCKET_IOCP_E_INVALID_ARGUMENT (no regular file; a range beyond what a file can be, or
 * with more bytes than a size_t counts), SOCKET_IOCP_E_BAD_SOCKET (not open), SOCKET_IOCP_E_OS.
 *
 * See io_uring_prep_read(3), pread(2); TransmitFile.
 */
int socket_iocp_issue_file_send( void *socket_iocp_state, void *socket_iocp_socket_state, socket_iocp_file file, uint64_t offset, uint64_t length, void *per_write_user_state );

/*
 * Lets go of a shared buffer: its handle is dead, and release comes when the sends of it that are outstanding have been
 * reported, at once if there are none. From any thread, inside and outside of callbacks.
 *
 * Errors: SOCKET_IOCP_E_BAD_HANDLE (not a shared buffer), SOCKET_IOCP_E_CLOSED (released already).
 */
int socket_iocp_release_shared( void *shared );


/* -------------------------------------------------------------------------------------------------------------------
 * Connecting
 * ---------------------------------------------------------------------------------------------------------------- */

/*
 * Connects a stream socket that is not connected yet, of any family, bound to a local address by bind(2) or not, and adds it to
 * the port: on success the SOCKET is the library's until its farewell. Its completion is one connect callback, the socket's first
 * but for those that need no connection (a timer's, a watermark's, that of a recv or send which ends alone), or, if the connect
 * fails, the farewell alone, with SOCKET_IOCP_E_REFUSED, SOCKET_IOCP_E_UNREACHABLE, SOCKET_IOCP_E_TIMED_OUT or what else the system
 * says.
 *
 *   address, of address_size bytes, is the caller's again when this returns.
 *
 *   timeout_ms: how long it may take at most, up to 604,800,000; then the farewell's status is SOCKET_IOCP_E_TIMED_OUT (even if
 *   the connect callback has come, when both are in the same moment). 0: as long as the system tries, two minutes or so.
 *
 *   *socket_iocp_socket_state is the socket's handle then; socket_iocp_socket_state may be NULL. A recv and sends may be issued on
 *   it at once: they wait until the socket is connected. The first callbacks may come before this returns.
 *
 * socket_iocp_cancel_connect() cancels it, and so do socket_iocp_abort_socket() and socket_iocp_remove_socket(), which end the socket
 * even if it was connected before. socket_iocp_close_socket() cancels it too, unless something is to be sent, which it then waits
 * for, up to linger_ms. A removed socket may still be connecting by itself.
 *
 * Errors: as socket_iocp_add_connected_socket(), with SOCKET_IOCP_E_ALREADY_CONNECTED in the place of
 * SOCKET_IOCP_E_NOT_CONNECTED; SOCKET_IOCP_E_INVALID_ARGUMENT (the address is not of the socket's family or of a wrong size,
 * timeout_ms is out of its range).
 *
 * See connect(2), io_uring_prep_connect(3); ConnectEx.
 */
int socket_iocp_issue_connect( void *socket_iocp_state, SOCKET socket, const struct sockaddr *address, DWORD address_size, DWORD timeout_ms, void *per_socket_user_state, void **socket_iocp_socket_state );

/*
 * Connects to a host by its name: looks the name up with the system's resolver and tries its addresses, IPv6 and IPv4 in turn, the
 * next one beside the others whenever 250 ms have passed and at once when one has failed (RFC 8305, "happy eyeballs"). The first
 * connection is the socket, which the library makes and owns; the other attempts are given up. Its completion is one connect
 * callback, or the farewell alone: with SOCKET_IOCP_E_UNRESOLVED if the name is not known, when os_error of socket_iocp_result() is
 * the code of getaddrinfo(3), for gai_strerror(3) (Windows: an error of Winsock's); if all addresses failed, with the first error
 * that came of an answer or of the system's time-out (SOCKET_IOCP_E_REFUSED, _TIMED_OUT, _RESET), or else the first of all.
 *
 *   host: a name as getaddrinfo(3) takes it, or an address, which is not looked up; ASCII or UTF-8, 1 to 255 bytes and a zero byte.
 *   It is the caller's again when this returns.
 *
 *   tcp_port: 1 to 65535, not in network byte order.
 *
 *   timeout_ms: how long all of it may take at most, up to 604,800,000; then the farewell's status is SOCKET_IOCP_E_TIMED_OUT, as with
 *   socket_iocp_issue_connect(). 0: as long as the resolver and the system try.
 *
 *   *socket_iocp_socket_state is the socket's handle then; socket_iocp_socket_state may be NULL. A recv and sends may be issued on
 *   it at once: they wait until there is a connection. The first callbacks may come before this returns.
 *
 * Until the connect callback there is no SOCKET: in callbacks that come before it (a timer's, a watermark's, that of a recv or send
 * which ends alone), and in the farewell of one that was never connected, socket is INVALID_SOCKET; socket_iocp_find_socket() finds
 * nothing, and a removed socket is none. Otherwise it ends as one of socket_iocp_issue_connect() does, by
 * socket_iocp_cancel_connect() and the others, at once even if the resolver hangs; socket_iocp_delete() does not wait for it.
 *
 * Names are looked up by up to eight threads of the port, and attempts are made by one more; they are started when they are first
 * needed and end with the port, but for one whose resolver hangs, which ends when it is let and keeps nothing of the port. While
 * eight names hang, others wait for one of those threads. Of a host at most 16 addresses are tried.
 *
 * Errors: SOCKET_IOCP_E_INVALID_ARGUMENT (host is empty, too long or no text; tcp_port or timeout_ms is out of its range),
 * SOCKET_IOCP_E_LIMIT (max_sockets; or 4,096 names wait for a thread), SOCKET_IOCP_E_NO_DESCRIPTORS, SOCKET_IOCP_E_NO_MEMORY,
 * SOCKET_IOCP_E_OS (a thread was refused).
 *
 * See getaddrinfo(3), connect(2), gai_strerror(3).
 */
int socket_iocp_issue_connect_host( void *socket_iocp_state, const char *host, DWORD tcp_port, DWORD timeout_ms, void *per_socket_user_state, void **socket_iocp_socket_state );


/* -------------------------------------------------------------------------------------------------------------------
 * Datagrams
 * ---------------------------------------------------------------------------------------------------------------- */

/*
 * Adds a datagram socket, UDP over IPv4 or IPv6, bound by bind(2) or not, connected by connect(2) or not. On success the SOCKET is
 * the library's until its farewell, and nothing happens on it until an operation is issued. per_socket_user_state comes with every
 * callback. socket_iocp_find_socket() tells the handle, and with that every call on a socket is as for a stream socket, but for
 * this:
 *
 * - The completion of socket_iocp_issue_recv(), and of that with a time limit, is one call of the port's datagram_callback_function, in
 *   the place of the recv callback: one recv brings one datagram. What comes while no recv is issued waits in the kernel, as far as
 *   SO_RCVBUF goes.
 * - Each send is one datagram, which leaves whole or not at all, one of no bytes too, in the order of the issue calls. On a
 *   connected socket socket_iocp_issue_sync_send() and all its kin send to where it is connected to; the calls below send
 *   anywhere.
 * - An error is that of its operation alone, and the socket goes on: SOCKET_IOCP_E_MESSAGE_SIZE (longer than the system sends),
 *   SOCKET_IOCP_E_NOT_CONNECTED (a send without an address), SOCKET_IOCP_E_REFUSED, SOCKET_IOCP_E_UNREACHABLE (what the net has
 *   answered to an earlier send is told to the next operation of a connected socket, be it a recv or a send), and what else the
 *   system says. What ends such a socket: socket_iocp_close_socket(), _abort_socket(), _remove_socket(), _delete(), and that it
 *   was closed behind the library's back.
 * - socket_iocp_close_socket() sends what is queued, and waits for nothing else. An abort shows to nobody.
 * - idle_timeout_ms is not for it, and socket_iocp_shutdown() takes it for idle when it has nothing to send.
 * - socket_iocp_shutdown_send() is SOCKET_IOCP_E_NOT_STREAM.
 *
 * Memory for its messages, some 450 bytes, is allocated here, so that a recv and a sync send need none. On Windows it is bound here
 * if it is not yet; SIO_UDP_CONNRESET is off from then on, so that nothing is told of what went to nobody; and idle_reads
 * changes nothing for it.
 *
 * Errors: SOCKET_IOCP_E_BAD_SOCKET, SOCKET_IOCP_E_NOT_SOCKET, SOCKET_IOCP_E_NOT_DATAGRAM, SOCKET_IOCP_E_ALREADY_ADDED,
 * SOCKET_IOCP_E_LIMIT (max_sockets), SOCKET_IOCP_E_UNSUPPORTED (another family than IPv4 and IPv6; the port has no
 * datagram_callback_function; Windows: see WINDOWS).
 *
 * See udp(7), recvmsg(2); WSARecvFrom.
 */
int socket_iocp_add_datagram_socket( void *socket_iocp_state, SOCKET socket, void *per_socket_user_state );

/*
 * As socket_iocp_issue_sync_send(), of one datagram to this address: no memory is allocated. address, of address_size bytes, is the
 * caller's again when this returns. A connected socket may send elsewhere in this way where the system lets it.
 *
 * Errors: as socket_iocp_issue_sync_send(); SOCKET_IOCP_E_NOT_DATAGRAM, SOCKET_IOCP_E_INVALID_ARGUMENT (the address is neither of
 * IPv4 nor of IPv6, or of a wrong size).
 *
 * See sendmsg(2); WSASendTo.
 */
int socket_iocp_issue_sync_send_to( void *socket_iocp_state, void *socket_iocp_socket_state, void *write_buffer, DWORD number_bytes_to_write, const struct sockaddr *address, DWORD address_size, void *per_write_user_state );

/*
 * As socket_iocp_issue_async_send(), of one datagram to this address: one block of memory is allocated. Otherwise as
 * socket_iocp_issue_sync_send_to(); both may be mixed.
 *
 * Errors: as socket_iocp_issue_async_send(); SOCKET_IOCP_E_NOT_DATAGRAM, SOCKET_IOCP_E_INVALID_ARGUMENT (the address is neither of
 * IPv4 nor of IPv6, or of a wrong size).
 *
 * See sendmsg(2); WSASendTo.
 */
int socket_iocp_issue_async_send_to( void *socket_iocp_state, void *socket_iocp_socket_state, void *write_buffer, DWORD number_bytes_to_write, const struct sockaddr *address, DWORD address_size, void *per_write_user_state );

/*
 * As socket_iocp_issue_async_send_to(), of several datagrams to one address: the bytes are cut into as many of segment_size bytes as
 * there are, the last of which may be shorter. The system does that once for all of them, which costs it far less than a send for
 * each. They are one completion, and leave all or, if it fails, none; it says SOCKET_IOCP_E_INVALID_ARGUMENT of more than 64
 * datagrams, or of one that is longer than the way takes.
 *
 * Errors: as socket_iocp_issue_async_send_to(); SOCKET_IOCP_E_INVALID_ARGUMENT (segment_size is 0 or above 65,535),
 * SOCKET_IOCP_E_UNSUPPORTED (everywhere but on Linux, which has it from 4.18 on).
 *
 * See UDP_SEGMENT in udp(7).
 */
int socket_iocp_issue_segmented_send_to( void *socket_iocp_state, void *socket_iocp_socket_state, void *write_buffer, DWORD number_bytes_to_write, DWORD segment_size, const struct sockaddr *address, DWORD address_size, void *per_write_user_state );


/* -------------------------------------------------------------------------------------------------------------------
 * Time limits, timers, cancels
 * ---------------------------------------------------------------------------------------------------------------- */

/*
 * As socket_iocp_issue_recv(), for timeout_ms milliseconds at most. If nothing has come by then, the recv callback has 0 bytes
 * and the status SOCKET_IOCP_E_TIMED_OUT, and the socket goes on. Bytes that came before it was cancelled are reported as bytes.
 *
 * Errors: as socket_iocp_issue_recv(); SOCKET_IOCP_E_INVALID_ARGUMENT (timeout_ms is above 604,800,000).
 */
int socket_iocp_issue_recv_with_timeout( void *socket_iocp_state, void *socket_iocp_socket_state, DWORD timeout_ms );

/*
 * As socket_iocp_issue_sync_send(), for timeout_ms milliseconds at most. If not every byte is with the system by then, the send
 * callback has the status SOCKET_IOCP_E_TIMED_OUT and in byte_count the bytes that had gone; the socket goes on with the sends
 * behind it. Where some had gone, what the peer reads is the beginning of this send and then the next: most programs close the
 * socket then. On Windows the system may reset the connection when a send that it has begun is cancelled. With zero_copy_from
 * the callback comes when the system has let go of the bytes.
 *
 * Errors: as socket_iocp_issue_sync_send(); SOCKET_IOCP_E_INVALID_ARGUMENT (timeout_ms is above 604,800,000).
 */
int socket_iocp_issue_sync_send_with_timeout( void *socket_iocp_state, void *socket_iocp_socket_state, void *write_buffer, DWORD number_bytes_to_write, void *per_write_user_state, DWORD timeout_ms );

/*
 * As socket_iocp_issue_async_send(), for timeout_ms milliseconds at most: see socket_iocp_issue_sync_send_with_timeout().
 *
 * Errors: as socket_iocp_issue_async_send(); SOCKET_IOCP_E_INVALID_ARGUMENT (timeout_ms is above 604,800,000).
 */
int socket_iocp_issue_async_send_with_timeout( void *socket_iocp_state, void *socket_iocp_socket_state, void *write_buffer, DWORD number_bytes_to_write, void *per_write_user_state, DWORD timeout_ms );

/*
 * As socket_iocp_issue_file_send(), for timeout_ms milliseconds at most: see socket_iocp_issue_sync_send_with_timeout().
 *
 * Errors: as socket_iocp_issue_file_send(); SOCKET_IOCP_E_INVALID_ARGUMENT (timeout_ms is above 604,800,000).
 */
int socket_iocp_issue_file_send_with_timeout( void *socket_iocp_state, void *socket_iocp_socket_state, socket_iocp_file file, uint64_t offset, uint64_t length, void *per_write_user_state, DWORD timeout_ms );

/*
 * Cancels the recv that is outstanding: its recv callback has 0 bytes and the status SOCKET_IOCP_E_CANCELLED, unless bytes or the
 * FIN came before the cancel reached it, and the socket goes on. The callback may still be to come when this returns. A recv that
 * is issued after it is not meant.
 *
 * Errors: SOCKET_IOCP_E_NOT_OUTSTANDING, SOCKET_IOCP_E_QUEUE_FULL (131,071 calls of other threads are on their way to this socket).
 *
 * See io_uring_prep_cancel(3); CancelIoEx.
 */
int socket_iocp_cancel_recv( void *socket_iocp_state, void *socket_iocp_socket_state );

/*
 * Cancels a connect that is outstanding: the farewell's status is SOCKET_IOCP_E_CANCELLED, with no connect callback before it, unless
 * the connect succeeded before the cancel reached it: then the connect callback comes, and the socket goes on. If it failed before,
 * the farewell's status says how. Sends that were issued on the socket are reported as cancelled. The callbacks may still be to come
 * when this returns.
 *
 * Errors: SOCKET_IOCP_E_NOT_OUTSTANDING (it has been told of, or the socket came connected), SOCKET_IOCP_E_CLOSED (the socket is
 * ending already).
 *
 * See io_uring_prep_cancel(3); CancelIoEx.
 */
int socket_iocp_cancel_connect( void *socket_iocp_state, void *socket_iocp_socket_state );

/*
 * Cancels every outstanding send, sync or async, that was issued with this per_write_user_state: the send callback of each has the
 * status SOCKET_IOCP_E_CANCELLED and in byte_count the bytes that had gone, unless it was done before the cancel reached it, and
 * the socket goes on with the others. Where some bytes of one had gone, what the peer reads is its beginning and then the next
 * send. The callbacks come before those of sends that were issued earlier and still wait, and may still be to come when this
 * returns. On Windows the system may reset the connection when a send that it has begun is cancelled.
 *
 * In a callback on the socket's worker it is done at once. From elsewhere the worker does it a little later: success says that it
 * will look, and it takes two small blocks of memory.
 *
 * Errors: SOCKET_IOCP_E_NOT_OUTSTANDING (no such send; told only in a callback on the socket's worker), SOCKET_IOCP_E_CLOSED (also
 * while the socket closes gracefully), SOCKET_IOCP_E_QUEUE_FULL (131,071 calls of other threads are on their way to this socket),
 * SOCKET_IOCP_E_NO_MEMORY.
 *
 * See io_uring_prep_cancel(3); CancelIoEx.
 */
int socket_iocp_cancel_send( void *socket_iocp_state, void *socket_iocp_socket_state, void *per_write_user_state );

/*
 * Issues the socket's timer: the port's timer_callback_function is called once, with per_timer_user_state, when delay_ms
 * milliseconds have passed, or before with the status SOCKET_IOCP_E_CANCELLED if it is cancelled or the socket ends. A socket
 * has one timer; its callback may issue it again. Nothing is allocated.
 *
 * Errors: SOCKET_IOCP_E_BUSY (it is outstanding), SOCKET_IOCP_E_UNSUPPORTED (the port has no timer_callback_function),
 * SOCKET_IOCP_E_INVALID_ARGUMENT (delay_ms is above 604,800,000), SOCKET_IOCP_E_QUEUE_FULL (131,071 calls of other threads are on
 * their way to this socket).
 */
int socket_iocp_issue_timer( void *socket_iocp_state, void *socket_iocp_socket_state, DWORD delay_ms, void *per_timer_user_state );

/*
 * Cancels the socket's timer: its callback has the status SOCKET_IOCP_E_CANCELLED, unless its time had passed before the cancel
 * reached it. The callback may still be to come when this returns.
 *
 * Errors: SOCKET_IOCP_E_NOT_OUTSTANDING, SOCKET_IOCP_E_QUEUE_FULL (131,071 calls of other threads are on their way to this socket).
 */
int socket_iocp_cancel_timer( void *socket_iocp_state, void *socket_iocp_socket_state );


/* -------------------------------------------------------------------------------------------------------------------
 * Sockets
 * ---------------------------------------------------------------------------------------------------------------- */

/*
 * Tells the handle of a connected socket in this port, or NULL if there is none (a listen socket has no handle) or the port
 * is not to be used. Works inside every callback of the socket, the accept callback included; what it tells in a farewell is
 * dead already.
 */
void *socket_iocp_find_socket( void *socket_iocp_state, SOCKET socket );

/*
 * Closes gracefully: refuses new operations, cancels the recv, sends what is queued, then FIN, then reads and discards until
 * the peer's FIN or until the port's linger limit has passed since this call; then the farewell, with status 0. So input that
 * nobody has read cannot destroy what was sent. At the limit the socket is aborted: sends not done are
 * SOCKET_IOCP_E_CANCELLED, the farewell's status is SOCKET_IOCP_E_TIMED_OUT.
 *
 * Errors: SOCKET_IOCP_E_CLOSED (it is ending already).
 *
 * See shutdown(2), close(2).
 */
int socket_iocp_close_socket( void *socket_iocp_state, void *socket_iocp_socket_state );

/*
 * Closes abortively: cancels everything, waits for every completion, then lets the peer see a reset; then the farewell, with
 * status SOCKET_IOCP_E_CANCELLED. Overrides a close under way.
 *
 * Errors: SOCKET_IOCP_E_CLOSED (it is being aborted or removed already).
 *
 * See SO_LINGER in socket(7).
 */
int socket_iocp_abort_socket( void *socket_iocp_state, void *socket_iocp_socket_state );

/*
 * Takes a socket out of the port: cancels everything; from the start of its farewell, with status 0, the SOCKET is the caller's
 * again, open, with whatever the kernel still has in its buffers. A recv that got its bytes before the cancel reached it is
 * still reported. A send reported as cancelled may have gone in part: byte_count of socket_iocp_result() tells how far.
 *
 * Adding it again: see WINDOWS. There it also keeps the mode that skip_on_success has set.
 *
 * Errors: SOCKET_IOCP_E_CLOSED (it is ending already).
 *
 * See FileReplaceCompletionInformation.
 */
int socket_iocp_remove_socket( void *socket_iocp_state, void *socket_iocp_socket_state );

/*
 * Half-close: sends FIN after what is queued. Receiving goes on; a later send is SOCKET_IOCP_E_SHUTDOWN. No callback comes of it.
 *
 * Errors: SOCKET_IOCP_E_SHUTDOWN (done already), SOCKET_IOCP_E_NOT_STREAM (a datagram socket has no FIN).
 *
 * See shutdown(2).
 */
int socket_iocp_shutdown_send( void *socket_iocp_state, void *socket_iocp_socket_state );

/*
 * Stores in *bytes how many bytes are in the async sends outstanding on this socket, each counted whole from its issue to its
 * callback, one of a file with 65,536 at most: how far behind the peer is. Other threads may be sending, and sends completing, meanwhile.
 *
 * Errors: SOCKET_IOCP_E_UNSUPPORTED (the port does not count them: it has neither max_queued_bytes nor high_watermark).
 */
int socket_iocp_queued_bytes( void *socket_iocp_state, void *socket_iocp_socket_state, size_t *bytes );

/*
 * Takes a listen socket out of the port. When this returns the SOCKET is the caller's again, open. Connections taken from the
 * kernel before are still given to the accept callback; when the last of those has returned, the listen error callback comes
 * (if the port has one), and listen_user_state is not used any more. Accepted sockets stay.
 *
 * Who goes on accepting on it elsewhere, in another port or process, should begin after the listen error callback: until then
 * accepts of this port are being cancelled in the kernel, and one of them may be told of a connection that it no longer takes,
 * which then stays in the queue until another comes.
 *
 * Errors: SOCKET_IOCP_E_NOT_ADDED (not a listen socket of this port).
 */
int socket_iocp_remove_listen_socket( void *socket_iocp_state, SOCKET socket );

/*
 * Changes a listen socket's backlog, see socket_iocp_add_listen_socket(), while it runs.
 *
 * Errors: SOCKET_IOCP_E_NOT_ADDED (not a listen socket of this port), SOCKET_IOCP_E_INVALID_ARGUMENT (0).
 */
int socket_iocp_set_accept_backlog( void *socket_iocp_state, SOCKET socket, size_t accept_socket_backlog );


/* -------------------------------------------------------------------------------------------------------------------
 * Sockets for another process
 * ---------------------------------------------------------------------------------------------------------------- */

/* The most bytes that go beside a passed socket. */
#define SOCKET_IOCP_MAX_PASSED_DATA 4096

/*
 * Sends a socket to the process at the other end of channel, which gets it by socket_iocp_take_passed_socket(), and length bytes at
 * data beside it, in one message. No port is involved.
 *
 * To move a live connection, remove its socket from the port and pass it from its farewell on; what has been received and not
 * answered yet goes in data, or over the channel as ordinary bytes. A listen socket is passed after its listen error callback.
 * Both processes have the socket then: the caller closes its own, which ends nothing while the other one is open, when the
 * other process has said that it has its own. The message is lost if that process ends before it reads it.
 *
 *   channel: connected. On POSIX a stream socket of the Unix family. On Windows any stream socket, since what goes over it is a
 *   description of which only the process with the number process_id can make a socket; elsewhere process_id is not used.
 *
 * Both processes use the same version of this library; whoever is at the other end is trusted with the socket. The call waits
 * until the message is written, as a write to channel does. Several threads must not use one channel at once.
 *
 * Errors: SOCKET_IOCP_E_INVALID_ARGUMENT (length is above SOCKET_IOCP_MAX_PASSED_DATA; on POSIX, channel is not of the Unix family;
 * on Windows, there is no such process), SOCKET_IOCP_E_BAD_SOCKET, SOCKET_IOCP_E_NOT_SOCKET, SOCKET_IOCP_E_BROKEN_PIPE or _RESET
 * (nobody reads from the channel any more), SOCKET_IOCP_E_UNSUPPORTED (Windows: the socket's provider cannot share it),
 * SOCKET_IOCP_E_OS (Windows: no right to give that process a handle). If bytes of the message may have gone, the channel is of no
 * use any more.
 *
 * See unix(7), SCM_RIGHTS; WSADuplicateSocket.
 */
int socket_iocp_pass_socket( SOCKET channel, DWORD process_id, SOCKET socket, const void *data, size_t length );

/*
 * Waits for a socket that another process sends by socket_iocp_pass_socket() over channel, and stores it in *socket: open, the
 * caller's, not inherited by programs that this one starts, ready to be added to a port. What was sent beside it is stored at
 * data, and its length in *length.
 *
 *   length: on entry the room at data, at least SOCKET_IOCP_MAX_PASSED_DATA.
 *
 * Errors: SOCKET_IOCP_E_INVALID_ARGUMENT (*length is below that, and nothing was read; or what came is no passed socket: the channel
 * is of no use any more), SOCKET_IOCP_E_EOF (the other process has closed the channel, perhaps in the middle of a message),
 * SOCKET_IOCP_E_NO_DESCRIPTORS (this process can have no more; the message is read, the sender still has its socket),
 * SOCKET_IOCP_E_BAD_SOCKET, SOCKET_IOCP_E_NOT_SOCKET.
 */
int socket_iocp_take_passed_socket( SOCKET channel, SOCKET *socket, void *data, size_t *length );


/* -------------------------------------------------------------------------------------------------------------------
 * The graceful end
 * ---------------------------------------------------------------------------------------------------------------- */

/* What a shutdown has come to. New members may come at the end. */
struct socket_iocp_ended {
    size_t size;       /* set by the caller: sizeof( struct socket_iocp_ended ) */
    uint64_t finished; /* connections that have bidden farewell since it began, in whatever way, but for those aborted */
    uint64_t aborted;  /* connections that were still there at the deadline: SOCKET_IOCP_E_CANCELLED in their farewells */
    uint64_t pending;  /* connections that are still there: it goes on. 0 when it is over */
};

/*
 * Ends a port gracefully: accepts no more, waits until every connection has finished or deadline_ms have passed, aborts those that
 * are left, and then is as socket_iocp_delete(), which needs not be called any more. Says in *ended, which may be NULL, how many of
 * each there were; ended->size as in socket_iocp_result().
 *
 * - Listen sockets end as with a delete: they are closed, and their listen error callbacks come with SOCKET_IOCP_E_CANCELLED. What the
 *   kernel has in their queues is lost; connections taken from it before are still given to their accept callbacks. Adding
 *   another listen socket is SOCKET_IOCP_E_CLOSED.
 * - The connections go on, and every call still works, socket_iocp_add_connected_socket() included: a proxy may need another
 *   connection to finish what it has begun. A connection has finished when it has bidden farewell, for whatever reason. Those that
 *   are idle are closed gracefully when the listen sockets have gone, and whenever one becomes so later; see shutdown_closes_idle in
 *   the options.
 * - At the deadline what is left is aborted, closes under way included. With deadline_ms 0 that is at once.
 *
 * Called by another thread while it is under way it brings the deadline nearer, or does nothing, since of several deadlines the
 * earliest counts, and returns at once with what there is so far. socket_iocp_delete() does the same with a deadline of 0, and
 * waits.
 *
 * From inside a callback, of any port, it begins and returns at once; the port ends by itself, and its handle is still to be
 * given to socket_iocp_delete(), which aborts what is left, or to this call, which waits, from outside. A port without threads is
 * driven by this call when a socket_iocp_run() in progress has returned; inside a callback it goes on being driven by the
 * program's runs, until they are SOCKET_IOCP_E_CLOSED.
 *
 * Errors: SOCKET_IOCP_E_INVALID_ARGUMENT (ended->size is below its minimum or above 4096).
 */
int socket_iocp_shutdown( void *socket_iocp_state, DWORD deadline_ms, struct socket_iocp_ended *ended );


/* -------------------------------------------------------------------------------------------------------------------
 * Inside a callback
 * ---------------------------------------------------------------------------------------------------------------- */

/* What a callback reports. */
enum socket_iocp_operation {
    SOCKET_IOCP_OPERATION_ACCEPT = 1,
    SOCKET_IOCP_OPERATION_RECV = 2,
    SOCKET_IOCP_OPERATION_SEND = 3,
    SOCKET_IOCP_OPERATION_FAREWELL = 4,        /* the error callback */
    SOCKET_IOCP_OPERATION_LISTEN_FAREWELL = 5, /* the listen error callback */
    SOCKET_IOCP_OPERATION_WATERMARK = 6,
    SOCKET_IOCP_OPERATION_TIMER = 7,
    SOCKET_IOCP_OPERATION_CONNECT = 8
};

/* Everything about the callback that runs. New members may come at the end. */
struct socket_iocp_completion {
    size_t size;                           /* set by the caller: sizeof( struct socket_iocp_completion ) */
    uint32_t operation;                    /* SOCKET_IOCP_OPERATION_... */
    int32_t status;                        /* 0 or SOCKET_IOCP_E_... */
    int32_t os_error;                      /* the operating system's code behind the status, or 0 */
    uint32_t local_address_size;           /* bytes at local_address */
    uint32_t remote_address_size;          /* bytes at remote_address */
    SOCKET socket;                         /* as in the callback's argument */
    void *socket_iocp_socket_state;        /* the socket's handle; dead in a farewell; NULL in a listen farewell */
    const struct sockaddr *local_address;  /* kept from the start, so that a reset does not lose it; valid until the
                                              callback returns; NULL in a listen farewell and a Unix socket's farewell */
    const struct sockaddr *remote_address; /* likewise */
    uint64_t byte_count;                   /* bytes received, or sent: all of them, or those before a send failed */
    uint32_t segment_size;                 /* of several datagrams of one sender that the system has put together, where the
                                              program has set UDP_GRO on the socket (Linux, from 5.0 on): how many bytes each
                                              has, the last perhaps fewer; else 0. A read buffer is to have room for them, up
                                              to 64 KiB */
};

/*
 * Tells what the callback that is running on this thread reports. completion->size says how much of the struct the caller
 * knows, at least sizeof( size_t ); that much is filled in, and what a larger struct has behind is set to zero.
 *
 * Where a callback runs another port by socket_iocp_run(), the innermost callback is meant.
 *
 * Errors: SOCKET_IOCP_E_WRONG_CONTEXT (no callback of this port is running on this thread), SOCKET_IOCP_E_INVALID_ARGUMENT
 * (size is below its minimum or above 4096).
 */
int socket_iocp_result( void *socket_iocp_state, struct socket_iocp_completion *completion );

/*
 * Detaches the read buffer of this socket's last recv callback and stores its address, the one that the recv callback was
 * given, in *read_buffer. From now on the caller owns its read_buffer_size bytes, may write to them, send them on any
 * socket, hand them to any thread, and keep them even after the port is gone, until socket_iocp_release_buffer().
 *
 * To be called from a callback of this socket, or of another that has the same worker, after the recv callback was entered,
 * before the next recv is issued and before the socket's farewell.
 *
 * Errors: SOCKET_IOCP_E_WRONG_CONTEXT (another thread than the socket's worker, or no callback is running),
 * SOCKET_IOCP_E_INVALID_ARGUMENT (the socket has no read buffer: none was received, it was taken already, or the next recv
 * has been issued), SOCKET_IOCP_E_LIMIT (max_taken_buffers).
 */
int socket_iocp_take_buffer( void *socket_iocp_state, void *socket_iocp_socket_state, void **read_buffer );

/*
 * Gives a taken buffer back; its bytes must not be used any more, nor by a send that is outstanding. From any thread, also
 * when its port is gone.
 *
 * Errors: SOCKET_IOCP_E_BAD_HANDLE (not a taken buffer, or released already).
 */
int socket_iocp_release_buffer( void *read_buffer );


/* -------------------------------------------------------------------------------------------------------------------
 * Options
 * ---------------------------------------------------------------------------------------------------------------- */

enum socket_iocp_backend_number {
    SOCKET_IOCP_BACKEND_DEFAULT = 0,   /* the best that the machine offers */
    SOCKET_IOCP_BACKEND_IO_URING = 1,  /* Linux */
    SOCKET_IOCP_BACKEND_READINESS = 2, /* epoll on Linux, kqueue on macOS and the BSDs */
    SOCKET_IOCP_BACKEND_IOCP = 3       /* Windows */
};

#define SOCKET_IOCP_THREADS_DEFAULT 0
#define SOCKET_IOCP_THREADS_NONE ( -1 )

#define SOCKET_IOCP_SWITCH_DEFAULT 0
#define SOCKET_IOCP_SWITCH_ON 1
#define SOCKET_IOCP_SWITCH_OFF 2

/*
 * What a port can be made with. Start from SOCKET_IOCP_OPTIONS_INIT and set what is wanted: 0 in a member is its default. New
 * members may come at the end.
 */
struct socket_iocp_options {
    size_t size;               /* sizeof( struct socket_iocp_options ) */
    int32_t threads;           /* worker threads, 1 to 1024. Default: the processors that the process may use.
                                  SOCKET_IOCP_THREADS_NONE: none; the caller drives the port by socket_iocp_run() */
    uint32_t backend;          /* SOCKET_IOCP_BACKEND_...: this one or an error */
    uint32_t linger_ms;        /* the limit of socket_iocp_close_socket(), 1 to 86,400,000. Default: 5,000 */
    uint32_t max_queued_sends; /* async sends outstanding per socket; one above is SOCKET_IOCP_E_QUEUE_FULL. Default: no
                                  limit */
    uint32_t max_queued_bytes; /* bytes in the async sends outstanding per socket, each counted whole from its issue to its
                                  callback (of a file at most 65,536); a send that would make it more, be it the only one, is SOCKET_IOCP_E_QUEUE_FULL.
                                  Default: no limit */
    uint32_t idle_timeout_ms;  /* how long the peer may keep a socket waiting, 1 to 604,800,000 (seven days): while a recv is
                                  outstanding, without a byte moving either way; while a send is outstanding, without a byte
                                  of it leaving, whatever is received meanwhile. (On Windows a byte leaves when the system
                                  reports its part of the send, which is at most 64 KiB then.) The socket is then aborted:
                                  SOCKET_IOCP_E_TIMED_OUT in its farewell, SOCKET_IOCP_E_CANCELLED for its sends. That comes
                                  when this time has passed, and at the latest a quarter of it and 20 ms later (more if
                                  callbacks hold the worker up). A socket on which nothing is outstanding waits for its own
                                  program, and a closing one has linger_ms. Default: none */
    size_t max_sockets;        /* connected sockets; an add above is SOCKET_IOCP_E_LIMIT, a connection above waits in the
                                  kernel's backlog. Default: no limit */
    size_t max_taken_buffers;  /* buffers taken at once. Default: 65,536 */
    /* A listen socket's farewell, its last callback: it was removed (status 0), or the port is being deleted
       (SOCKET_IOCP_E_CANCELLED). The socket's number is a name here: after a removal the caller may have closed it, and after
       a delete it is closed. Default: none */
    void (*listen_error_callback_function)( SOCKET socket, void *listen_socket_user_state );
    /* The next two are for Windows and change nothing elsewhere. */
    uint32_t idle_reads;       /* SOCKET_IOCP_SWITCH_...: a recv waits for data with a read of no bytes and takes a read buffer
                                  when there is some, so that an idle connection costs no buffer and pins no page of memory,
                                  for one call more a recv. (Elsewhere that is so always, at no cost.) Default: off. See
                                  https://learn.microsoft.com/windows/win32/api/winsock2/nf-winsock2-wsarecv */
    uint32_t skip_on_success;  /* SOCKET_IOCP_SWITCH_...: what is done at once is reported without a turn through the
                                  completion port. Default: on where every provider of TCP sockets has file handles, else
                                  off; on by force where one has none loses completions. See
                                  https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-setfilecompletionnotificationmodes */
    /* The rest helps some programs and hurts others: docs/options.md says whom, with figures. */
    uint32_t pin_workers;      /* SOCKET_IOCP_SWITCH_...: worker n stays on the n-th processor, counted round, of those on which
                                  the thread that makes the port may run. It helps where the processors are the program's
                                  alone, and hurts where they are shared. A hint: on Linux, Android and Windows (there within
                                  the worker's group of 64 processors); elsewhere, and without threads, it changes nothing, and
                                  a refusal is not reported. Default: off. See sched_setaffinity(2),
                                  https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-setthreadaffinitymask */
    uint32_t busy_poll_us;     /* how long a worker that has nothing to do looks for something, without sleeping, before it
                                  sleeps, at most 1,000,000 (one second): what comes meanwhile is served sooner, and another
                                  thread's call needs no system call. It helps where latency is worth a processor for each
                                  worker; it hurts everywhere else, since a worker that looks uses all of its processor, and
                                  with more workers than processors one takes it from the next. Deadlines come in time. Without
                                  threads it changes nothing. Default: it sleeps at once */
    uint32_t zero_copy_from;   /* from how many bytes on what is sent to a socket at once is read by the system where it lies,
                                  without a copy. It helps with large buffers, from some 16 KiB on, sent to a network card; it
                                  hurts on loopback, with small sends, and on long ways: the send callback comes, and the next
                                  send starts, when the peer's system has acknowledged the bytes. With idle_timeout_ms a send
                                  goes in parts, of at most 256 KiB or this many bytes, each of which the peer's system has to
                                  take in that time. Whatever ends such a socket but socket_iocp_remove_socket() resets the
                                  connection if a send is outstanding; a removed one comes back when the peer's system has
                                  acknowledged what was sent, or reset if the port is deleted before. A hint: on io_uring for
                                  TCP, from Linux 6.1 on. Default: never. See io_uring_prep_send_zc(3) */
    uint32_t sqpoll_idle_ms;   /* gives each worker a thread of the kernel that takes its submissions, and sleeps when it has
                                  found none for so long, at most 60,000 (one minute). It helps workers that never stand still,
                                  each with a second processor for that thread; it hurts everybody else, since the thread uses
                                  all of a processor while it looks, and each operation passes through it. A hint: on io_uring;
                                  where the kernel refuses the thread, the port works without, and without threads it changes
                                  nothing. Default: none. See io_uring_setup(2), IORING_SETUP_SQPOLL */
    /* Back-pressure: bytes in async sends, counted as for max_queued_bytes. */
    uint32_t high_watermark;   /* how many on one socket are many: when they rise above it, the watermark callback says so, and
                                  again when they have fallen to low_watermark. A port that counts bytes takes at most 4 GiB - 1
                                  in the async sends of one socket; more is SOCKET_IOCP_E_QUEUE_FULL. Default: none, and
                                  nothing is counted for it */
    uint32_t low_watermark;    /* how many are few again, at most high_watermark. Default: 0, all of them have gone */
    size_t max_port_queued_bytes; /* those of all sockets of the port together; a send that would make it more is
                                  SOCKET_IOCP_E_LIMIT, also where its own socket's queue is full, and nothing is queued. All
                                  threads that send share one count for it. Default: no limit, and nothing is counted */
    /* The bytes queued on a socket have risen above high_watermark (above is 1), or have fallen to low_watermark (above is 0):
       each once a crossing, in turn, on the socket's worker and in order with its other callbacks. The first comes before the
       send callback of any of the sends that made them so many, the second after the send callback with which they became few.
       They are looked at between callbacks: sends issued in a send callback that make them many again leave nothing to tell. A
       socket that takes no sends any more, since its sending side was shut down or its end has begun, crosses no mark. Needs
       high_watermark. Default: none */
    void (*watermark_callback_function)( SOCKET socket, void *per_socket_user_state, int above );
    uint32_t shutdown_closes_idle; /* SOCKET_IOCP_SWITCH_...: socket_iocp_shutdown() closes connections that are idle, gracefully,
                                  those that become so later included: those on which a recv is outstanding and nothing else,
                                  between two requests of their peer. A program for which the middle of a request, or an answer
                                  that is still being made, looks like that turns it off, and closes its connections itself when
                                  each has finished. Default: on */
    /* This, too, helps some programs and hurts others. */
    uint32_t multishot_recv;   /* SOCKET_IOCP_SWITCH_...: a recv, once issued, stays with the kernel for as long as its socket is
                                  in the port, and is not submitted anew each time. It helps where a system call's work is dear;
                                  it hurts programs that leave sockets unread: what comes while no recv is issued is taken from
                                  the kernel all the same, and kept for the next recvs, one buffer each, in at most 16 read
                                  buffers a socket and what the kernel still fills while the recv is taken back; then the peer is
                                  pushed back as ever. What is kept when a socket is removed is not the socket's any more: it is
                                  reported before the farewell, in recv callbacks, one a buffer, whether a recv is issued or not;
                                  a read_buffer is the program's until the next of these, or the farewell, has returned. Every
                                  other end throws it away. Without memory to keep something the next recv fails with
                                  SOCKET_IOCP_E_NO_MEMORY, and a removal becomes a reset with that status. A hint: on io_uring,
                                  from Linux 6.0 on. Default: off. See io_uring_prep_recv_multishot(3) */
    /* A timer's callback, with what socket_iocp_issue_timer() was given. socket_iocp_result() reports status 0 when its time has
       passed, SOCKET_IOCP_E_CANCELLED when it was cancelled or its socket ends. Runs on the socket's worker, like every callback of
       the socket. Default: none, and socket_iocp_issue_timer() is SOCKET_IOCP_E_UNSUPPORTED */
    void (*timer_callback_function)( SOCKET socket, void *per_socket_user_state, void *per_timer_user_state );
    /* A connect of socket_iocp_issue_connect() or socket_iocp_issue_connect_host() has completed. The addresses are valid until it returns, as in the accept callback.
       Runs on the socket's worker. Default: none, for a program that sends first and has issued that already */
    void (*connect_callback_function)( SOCKET socket, struct sockaddr *local_address, struct sockaddr *remote_address, void *per_socket_user_state );
    /* The recv of a datagram socket has completed; see socket_iocp_add_datagram_socket(). read_buffer has byte_count bytes and belongs
       to the socket, see BUFFERS; with byte_count 0 it is NULL, and the datagram has none, which is no end. sender_address is where it
       came from, valid until the callback returns; socket_iocp_result() tells its size, as that of the remote address. truncated is 1
       if the datagram was longer than a read buffer: the rest is lost. If socket_iocp_result() reports a status, this recv ended
       alone, cancelled, timed out or failed: sender_address is NULL then, and the socket goes on. Runs on the socket's worker.
       Default: none, and socket_iocp_add_datagram_socket() is SOCKET_IOCP_E_UNSUPPORTED */
    void (*datagram_callback_function)( SOCKET socket, void *read_buffer, DWORD byte_count, struct sockaddr *sender_address, int truncated, void *per_socket_user_state );
};

#define SOCKET_IOCP_OPTIONS_INIT { sizeof( struct socket_iocp_options ), 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, NULL, NULL, NULL }

/*
 * Makes a port as socket_iocp_new() does, with options; NULL is the same as all defaults. The struct is not used after the
 * call. One that is smaller than the library knows has defaults for the rest; in one that is larger, from a later version of
 * this header, the members that the library does not know must be 0.
 *
 * Errors: as socket_iocp_new(); SOCKET_IOCP_E_INVALID_ARGUMENT (a member is outside its range, size is below sizeof( size_t )
 * or above 4096, a member that the library does not know is set), SOCKET_IOCP_E_BACKEND_UNAVAILABLE (the backend asked for
 * is not to be had; errno tells why where the system does).
 */
int socket_iocp_new_with_options( void **socket_iocp_state, size_t read_buffer_size, void (*accept_callback_function)(SOCKET socket, struct sockaddr *local_address, struct sockaddr *remote_address, void *listen_socket_user_state, void **per_socket_user_state), void (*recv_callback_function)(SOCKET socket, void *read_buffer, DWORD byte_count, void *per_socket_user_state), void (*send_callback_function)( SOCKET socket, void *per_socket_user_state, void *per_write_user_state ), void (*error_callback_function)(SOCKET socket, void *per_socket_user_state), const struct socket_iocp_options *options );


/* -------------------------------------------------------------------------------------------------------------------
 * A port without threads
 * ---------------------------------------------------------------------------------------------------------------- */

/*
 * Drives a port made with SOCKET_IOCP_THREADS_NONE: waits until there is something to do or timeout_ms have passed (-1: for
 * ever, 0: only looks), runs the callbacks that are due on this thread, and returns 0, also when nothing was to do. From any
 * thread, one at a time.
 *
 * Errors: SOCKET_IOCP_E_BUSY (a run is in progress, in another thread or around this callback),
 * SOCKET_IOCP_E_WRONG_CONTEXT (the port has threads), SOCKET_IOCP_E_INVALID_ARGUMENT (timeout_ms is below -1).
 */
int socket_iocp_run( void *socket_iocp_state, int timeout_ms );

/*
 * POSIX: stores in *descriptor by what a port without threads is polled: the one descriptor of a port made with
 * SOCKET_IOCP_THREADS_NONE that is readable whenever socket_iocp_run( port, 0 ) has something to do, deadlines included. It is
 * for poll(2) and the like, in a program that has an event loop already (docs/foreign-loops.md). It is to be polled for reading
 * and nothing else, and is valid until the port is deleted. On io_uring a poll may return EINTR when there is something to do:
 * poll again, as poll(2) asks of every caller.
 *
 * Errors: SOCKET_IOCP_E_WRONG_CONTEXT (the port has threads), SOCKET_IOCP_E_UNSUPPORTED (Windows).
 */
int socket_iocp_pollable( void *socket_iocp_state, int *descriptor );


/* -------------------------------------------------------------------------------------------------------------------
 * Queries
 * ---------------------------------------------------------------------------------------------------------------- */

/*
 * Stores in *backend which one is under the port, a SOCKET_IOCP_BACKEND_... number, and in reason why a better one was passed
 * over: a text in English that ends in a zero byte, empty if none was, cut to reason_size bytes. reason may be NULL.
 */
int socket_iocp_backend( void *socket_iocp_state, uint32_t *backend, char *reason, size_t reason_size );

/*
 * The name of a SOCKET_IOCP_BACKEND_... number, as the environment variable SOCKET_IOCP_BACKEND takes it; "unknown" for other
 * numbers. Valid for ever.
 */
const char *socket_iocp_backend_name( uint32_t backend );

/* What a port, or one of its workers, has done since the port was made. Those named ..._now say how many there are now, the others
 * only grow. New members may come at the end. */
struct socket_iocp_counters {
    size_t size;                /* set by the caller: sizeof( struct socket_iocp_counters ) */
    uint64_t sockets_now;       /* connected sockets, and those of datagrams */
    uint64_t listeners_now;     /* listen sockets */
    uint64_t taken_buffers_now; /* buffers taken and not released */
    uint64_t accepts;           /* connections accepted */
    uint64_t recvs;             /* recvs completed with data or FIN */
    uint64_t sends;             /* sends completed with success */
    uint64_t received_bytes;    /* bytes of these recvs */
    uint64_t sent_bytes;        /* bytes of these sends */
    uint64_t farewells;         /* farewells delivered */
    uint64_t panics;            /* defects caught */
    uint64_t accept_errors;     /* accepts that failed and were tried again */
    uint64_t accept_backoffs;   /* pauses of a listener for want of descriptors or memory */
    uint64_t buffer_shortages;  /* recvs and sends that had to wait for memory, for a read buffer or in the kernel */
    uint64_t waits;             /* waits for completions: system calls */
    uint64_t completions;       /* completions taken from the operating system */
    uint64_t wakeups;           /* a worker was woken by another thread */
    uint64_t workers_now;       /* workers; 1 where the caller drives the port */
    uint64_t queued_sends_now;  /* async sends outstanding, those on their way from another thread to their worker excepted;
                                   counted only in a port that limits sends or bytes, or has a watermark */
    uint64_t queued_bytes_now;  /* the bytes in them, each counted whole until its callback; likewise */
    uint64_t empty_rings;       /* of the recvs that had to wait, those for want of a free read buffer in the worker's ring:
                                   ENOBUFS */
    uint64_t shortage_pauses;   /* pauses of a worker before it tried again what had found no memory */
    uint64_t linger_timeouts;   /* sockets that the linger limit has ended */
    uint64_t idle_timeouts;     /* sockets that the idle time-out has ended */
    uint64_t high_watermarks;   /* times that the bytes queued on a socket rose above the high mark */
    uint64_t connects;          /* connects completed with success */
    uint64_t timers;            /* timers that have ended, cancelled ones included */
    uint64_t operation_timeouts; /* recvs and sends that their own time limit has ended */
};

/*
 * Fills in the counters. They are read one by one while the port works, and stop nobody. counters->size as in
 * socket_iocp_result().
 *
 * Errors: SOCKET_IOCP_E_INVALID_ARGUMENT (size is below its minimum or above 4096).
 */
int socket_iocp_statistics( void *socket_iocp_state, struct socket_iocp_counters *counters );

/*
 * Fills in the counters of one worker, counted from 0: there are workers_now. listeners_now are those on which it accepts, which
 * may be all of them for each worker; taken_buffers_now is 0, since buffers are taken from the port. Otherwise as
 * socket_iocp_statistics().
 *
 * Errors: SOCKET_IOCP_E_INVALID_ARGUMENT (no worker has this number; size is below its minimum or above 4096).
 */
int socket_iocp_worker_statistics( void *socket_iocp_state, uint32_t worker, struct socket_iocp_counters *counters );

/*
 * One line in English for a code: its name and what it means; "success" for 0; "unknown error code" for others. Valid for ever,
 * from any thread, in a forked child as well.
 */
const char *socket_iocp_strerror( int code );

/* The version of the library that runs, "major.minor.patch"; that of the header is in SOCKET_IOCP_VERSION_.... Valid for ever. */
const char *socket_iocp_version( void );

#ifdef __cplusplus
}
#endif

#ifdef SOCKET_IOCP_UNDEFINE_SOCKET
#undef SOCKET_IOCP_UNDEFINE_SOCKET
#undef SOCKET
#endif
#ifdef SOCKET_IOCP_UNDEFINE_DWORD
#undef SOCKET_IOCP_UNDEFINE_DWORD
#undef DWORD
#endif

#endif
