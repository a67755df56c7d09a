/* Connects: the connect callback or the farewell, and what may be issued meanwhile. */
#include "check.h"

enum { SHORT_MS = 20, LONG_MS = 24 * 60 * 60 * 1000, TOO_LONG_MS = 604800001 };

static void *port;
static char user[2];

/* ---- the connect callback, and what it was called with ---- */

static size_t connect_count;
static struct sockaddr_in last_local, last_remote;

static void connected( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *state )
{
    struct socket_iocp_completion completion;
    memset( &completion, 0, sizeof completion );
    completion.size = sizeof completion;
    CHECK_OK( socket_iocp_result( port, &completion ) );
    CHECK( completion.operation == SOCKET_IOCP_OPERATION_CONNECT && completion.socket == socket );
    CHECK( completion.status == 0 && completion.byte_count == 0 && state == (void *)user );
    CHECK( completion.socket_iocp_socket_state == socket_iocp_find_socket( port, socket ) );
    pthread_mutex_lock( &log_mutex );
    memcpy( &last_local, local, sizeof last_local );
    memcpy( &last_remote, remote, sizeof last_remote );
    connect_count++;
    pthread_cond_broadcast( &log_changed );
    pthread_mutex_unlock( &log_mutex );
}

static void expect_connects( size_t count )
{
    pthread_mutex_lock( &log_mutex );
    while( connect_count < count )
        pthread_cond_wait( &log_changed, &log_mutex );
    CHECK( connect_count == count );
    pthread_mutex_unlock( &log_mutex );
}

/* ---- sockets ---- */

static SOCKET unconnected( void )
{
    SOCKET fresh = socket( AF_INET, SOCK_STREAM, 0 );
    CHECK( fresh != INVALID_SOCKET );
    return fresh;
}

static void *issue( const struct sockaddr_in *address, DWORD timeout_ms )
{
    void *handle = NULL;
    SOCKET fresh = unconnected();
    CHECK_OK( socket_iocp_issue_connect( port, fresh, (const struct sockaddr *)address, sizeof *address, timeout_ms, user, &handle ) );
    CHECK( handle != NULL );
    return handle;
}

/* A listener whose queue is full: a connect to it takes until it is cancelled. */
static void fill( SOCKET listener, const struct sockaddr_in *address, SOCKET fillers[8] )
{
    int index;
    CHECK( listen( listener, 0 ) == 0 );
    for( index = 0; index < 8; index++ )
    {
        fillers[index] = unconnected();
        dont_wait( fillers[index] );
        connect( fillers[index], (const struct sockaddr *)address, sizeof *address );
    }
}

/* ---- the tests ---- */

static void succeeds( void )
{
    static char early[] = "early";
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address ), peer;
    void *handle = issue( &address, LONG_MS );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, early, 5, NULL ) );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_CODE( BUSY, socket_iocp_issue_recv( port, handle ) );
    peer = accept( listener, NULL, NULL );
    expect_connects( 1 );
    CHECK( last_remote.sin_port == address.sin_port && last_remote.sin_addr.s_addr == address.sin_addr.s_addr );
    CHECK( last_local.sin_port != 0 && last_local.sin_addr.s_addr == htonl( INADDR_LOOPBACK ) );
    expect_bytes( peer, "early" );
    write_all( peer, "answer", 6 );
    CHECK( await( SENT, 1 ).completion.status == 0 );
    CHECK( await( RECEIVED, 1 ).byte_count == 6 );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    expect_reset( peer );
    close_socket( peer );
    close_socket( listener );
    forget_events();
}

static void fails( void )
{
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address );
    close_socket( listener );
    issue( &address, 0 );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_REFUSED );
    CHECK( await( ENDED, 1 ).completion.os_error != 0 && await( ENDED, 1 ).user == (void *)user );
    forget_events();
}

static void takes_too_long( void )
{
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address ), fillers[8];
    void *handle;
    int index;
    fill( listener, &address, fillers );
    issue( &address, SHORT_MS );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_TIMED_OUT );
    handle = issue( &address, LONG_MS );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK( await( ENDED, 2 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    handle = issue( &address, 0 );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    CHECK( await( ENDED, 3 ).completion.status == 0 );
    expect_connects( 1 );
    for( index = 0; index < 8; index++ )
        close_socket( fillers[index] );
    close_socket( listener );
    forget_events();
}

static void is_cancelled( void )
{
    static char early[] = "never";
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address ), fillers[8], peer;
    void *handle;
    size_t before = connect_count;
    int index;
    handle = issue( &address, LONG_MS );
    peer = accept( listener, NULL, NULL );
    expect_connects( before + 1 );
    CHECK_CODE( NOT_OUTSTANDING, socket_iocp_cancel_connect( port, handle ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    close_socket( peer );

    fill( listener, &address, fillers );
    handle = issue( &address, 0 );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, early, 5, NULL ) );
    CHECK_OK( socket_iocp_cancel_connect( port, handle ) );
    CHECK( await( SENT, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK( await( ENDED, 2 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK_CODE( CLOSED, socket_iocp_cancel_connect( port, handle ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_cancel_connect( NULL, handle ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_cancel_connect( port, NULL ) );
    expect_connects( before + 1 );
    for( index = 0; index < 8; index++ )
        close_socket( fillers[index] );
    close_socket( listener );
    forget_events();
}

/* By name, as the system's resolver knows it, and by address. The socket is there from the connect callback on. */
static void connects_to_a_host( void )
{
    static char early[] = "early";
    static const char *const hosts[] = { "localhost", "127.0.0.1" };
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address ), peer;
    size_t before = connect_count;
    void *handle;
    int index;
    for( index = 0; index < 2; index++ )
    {
        CHECK_OK( socket_iocp_issue_connect_host( port, hosts[index], ntohs( address.sin_port ), LONG_MS, user, &handle ) );
        CHECK_OK( socket_iocp_issue_async_send( port, handle, early, 5, NULL ) );
        CHECK_OK( socket_iocp_issue_recv( port, handle ) );
        peer = accept( listener, NULL, NULL );
        expect_bytes( peer, "early" );
        expect_connects( before + 1 + (size_t)index );
        CHECK( last_remote.sin_port == address.sin_port );
        write_all( peer, "answer", 6 );
        CHECK( await( RECEIVED, 1 ).byte_count == 6 && await( RECEIVED, 1 ).socket != INVALID_SOCKET );
        CHECK( socket_iocp_find_socket( port, await( RECEIVED, 1 ).socket ) == handle );
        CHECK_OK( socket_iocp_abort_socket( port, handle ) );
        CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
        expect_reset( peer );
        close_socket( peer );
        forget_events();
    }
    close_socket( listener );
    CHECK_OK( socket_iocp_issue_connect_host( port, "127.0.0.1", ntohs( address.sin_port ), 0, user, NULL ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_REFUSED && await( ENDED, 1 ).socket == INVALID_SOCKET );
    /* A space is in no name: nobody is asked for it. */
    CHECK_OK( socket_iocp_issue_connect_host( port, "no name", 80, 0, user, NULL ) );
    CHECK( await( ENDED, 2 ).completion.status == SOCKET_IOCP_E_UNRESOLVED && await( ENDED, 2 ).completion.os_error != 0 );
    CHECK( await( ENDED, 2 ).completion.local_address_size == 0 && await( ENDED, 2 ).completion.remote_address_size == 0 );
    CHECK_OK( socket_iocp_issue_connect_host( port, "localhost", 9, 0, user, &handle ) );
    CHECK_OK( socket_iocp_remove_socket( port, handle ) );
    CHECK( await( ENDED, 3 ).user == (void *)user );
    forget_events();
}

static void a_host_is_refused( void )
{
    char too_long[257];
    void *handle = &port;
    memset( too_long, 'a', sizeof too_long );
    too_long[256] = 0;
#define CONNECT_HOST( host, tcp_port, timeout_ms ) \
    socket_iocp_issue_connect_host( port, host, tcp_port, timeout_ms, user, &handle )
    CHECK_CODE( NULL_POINTER, CONNECT_HOST( NULL, 80, 0 ) );
    CHECK_CODE( INVALID_ARGUMENT, CONNECT_HOST( "", 80, 0 ) );
    CHECK_CODE( INVALID_ARGUMENT, CONNECT_HOST( too_long, 80, 0 ) );
    CHECK_CODE( INVALID_ARGUMENT, CONNECT_HOST( "\xff", 80, 0 ) );
    CHECK_CODE( INVALID_ARGUMENT, CONNECT_HOST( "localhost", 0, 0 ) );
    CHECK_CODE( INVALID_ARGUMENT, CONNECT_HOST( "localhost", 65536, 0 ) );
    CHECK_CODE( INVALID_ARGUMENT, CONNECT_HOST( "localhost", 80, TOO_LONG_MS ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_connect_host( NULL, "localhost", 80, 0, user, &handle ) );
    CHECK( handle == (void *)&port );
}

static void is_refused( void )
{
    struct sockaddr_in address;
    const struct sockaddr *to = (const struct sockaddr *)&address;
    SOCKET listener = listen_on_loopback( &address ), fresh = unconnected(), ends[2];
    void *handle = &port;
    tcp_pair( ends );
#define CONNECT( socket, address, size, timeout_ms ) \
    socket_iocp_issue_connect( port, socket, address, size, timeout_ms, user, &handle )
    CHECK_CODE( NULL_POINTER, CONNECT( fresh, NULL, sizeof address, 0 ) );
    CHECK_CODE( INVALID_ARGUMENT, CONNECT( fresh, to, 1, 0 ) );
    CHECK_CODE( INVALID_ARGUMENT, CONNECT( fresh, to, 4096, 0 ) );
    CHECK_CODE( INVALID_ARGUMENT, CONNECT( fresh, to, sizeof address, TOO_LONG_MS ) );
    CHECK_CODE( ALREADY_CONNECTED, CONNECT( ends[0], to, sizeof address, 0 ) );
    CHECK_CODE( LISTENING, CONNECT( listener, to, sizeof address, 0 ) );
    CHECK_CODE( BAD_SOCKET, CONNECT( INVALID_SOCKET, to, sizeof address, 0 ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_connect( NULL, fresh, to, sizeof address, 0, user, &handle ) );
    CHECK( handle == (void *)&port );
    /* What was refused is the caller's, as it was. */
    CHECK( connect( fresh, to, sizeof address ) == 0 );
    close_socket( fresh );
    close_socket( ends[0] );
    close_socket( ends[1] );
    close_socket( listener );
}

int main( void )
{
    struct socket_iocp_options options;
    int before = begin_test();
    options = default_options();
    options.connect_callback_function = connected;
    port = new_port_with( &options );
    succeeds();
    fails();
    takes_too_long();
    is_cancelled();
    is_refused();
    connects_to_a_host();
    a_host_is_refused();
    delete_port( port );
    CHECK( open_sockets() == before );
    return 0;
}
