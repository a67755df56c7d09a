/* Windows: sockets on completion ports of the program's own, before they are in the library's port and after. */
#include "check.h"

static void *port;

static HANDLE new_completion_port( void )
{
    HANDLE made = CreateIoCompletionPort( INVALID_HANDLE_VALUE, NULL, 0, 1 );
    CHECK( made != NULL );
    return made;
}

/* An overlapped recv, as a program makes it. */
static void start_recv( SOCKET from, char *bytes, ULONG count, OVERLAPPED *overlapped )
{
    WSABUF buffer;
    DWORD flags = 0;
    buffer.buf = bytes;
    buffer.len = count;
    CHECK( WSARecv( from, &buffer, 1, NULL, &flags, overlapped, NULL ) == 0 || WSAGetLastError() == WSA_IO_PENDING );
}

/* A socket that somebody else has on a completion port is refused, and works there as before. */
static void on_another_port( void )
{
    SOCKET ends[2];
    HANDLE own = new_completion_port();
    OVERLAPPED overlapped, *completed;
    ULONG_PTR key;
    DWORD count;
    char bytes[5];

    tcp_pair( ends );
    CHECK( CreateIoCompletionPort( (HANDLE)ends[0], own, 77, 0 ) == own );
    CHECK_CODE( UNSUPPORTED, socket_iocp_add_connected_socket( port, ends[0], NULL ) );
    CHECK( socket_iocp_find_socket( port, ends[0] ) == NULL );
    memset( &overlapped, 0, sizeof overlapped );
    start_recv( ends[0], bytes, sizeof bytes, &overlapped );
    write_all( ends[1], "whole", 5 );
    CHECK( GetQueuedCompletionStatus( own, &count, &key, &completed, INFINITE ) );
    CHECK( count == 5 && key == 77 && completed == &overlapped && memcmp( bytes, "whole", 5 ) == 0 );
    close_socket( ends[0] ), close_socket( ends[1] );
    CloseHandle( own );
}

static void listening_on_another_port( void )
{
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address ), client, connection;
    HANDLE own = new_completion_port();
    CHECK( CreateIoCompletionPort( (HANDLE)listener, own, 77, 0 ) == own );
    CHECK_CODE( UNSUPPORTED, socket_iocp_add_listen_socket( port, listener, 1, NULL ) );
    client = connect_to( &address );
    connection = accept( listener, NULL, NULL );
    CHECK( connection != INVALID_SOCKET );
    close_socket( connection ), close_socket( client ), close_socket( listener );
    CloseHandle( own );
    CHECK( logged( LISTEN_ENDED ) == 0 );
}

/* After a removal the program's own operations end as they do on any socket, wherever else their completions may go. */
static void after_a_removal( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    OVERLAPPED overlapped;
    DWORD count, flags;
    char bytes[5];

    CHECK_OK( socket_iocp_remove_socket( port, handle ) );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    memset( &overlapped, 0, sizeof overlapped );
    overlapped.hEvent = WSACreateEvent();
    start_recv( ends[0], bytes, sizeof bytes, &overlapped );
    write_all( ends[1], "whole", 5 );
    CHECK( WSAGetOverlappedResult( ends[0], &overlapped, &count, TRUE, &flags ) );
    CHECK( count == 5 && memcmp( bytes, "whole", 5 ) == 0 );
    WSACloseEvent( overlapped.hEvent );
    close_socket( ends[0] ), close_socket( ends[1] );

    /* The port has not minded. */
    forget_events();
    handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "on", 2 );
    CHECK( await( RECEIVED, 1 ).byte_count == 2 );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    CHECK( logged( RECEIVED ) == 1 );
    close_socket( ends[1] );
    forget_events();
}

int main( void )
{
    int sockets = begin_test();
    port = new_port();
    on_another_port();
    listening_on_another_port();
    after_a_removal();
    delete_port( port );
    CHECK( open_sockets() == sockets );
    return 0;
}
