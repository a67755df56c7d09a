/* Stream sockets of every family: Unix by path and by socketpair, IPv6. */
#include "check.h"

#ifndef _WIN32
#include <sys/un.h>
#endif

static void *port;

/* Sends one message through an accepted connection both ways and ends it. */
static void exchange( SOCKET client )
{
    struct event event;
    write_all( client, "ping", 4 );
    event = await( RECEIVED, 1 );
    CHECK( event.byte_count == 4 && memcmp( event.data, "ping", 4 ) == 0 );
    CHECK_OK( socket_iocp_issue_async_send( port, event.completion.socket_iocp_socket_state, (void *)"pong", 4, NULL ) );
    expect_bytes( client, "pong" );
    await( SENT, 1 );
    CHECK_OK( socket_iocp_close_socket( port, event.completion.socket_iocp_socket_state ) );
    expect_end( client );
    close_socket( client );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    forget_events();
}

static int seen_family;

static void note_family( struct event *event )
{
    seen_family = event->completion.local_address->sa_family;
    CHECK_OK( socket_iocp_issue_recv( port, event->completion.socket_iocp_socket_state ) );
}

static void serve( SOCKET listener, const struct sockaddr *address, socklen_t size )
{
    SOCKET client;
    CHECK( listen( listener, 8 ) == 0 );
    test_hooks[ACCEPTED] = note_family;
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 1, NULL ) );
    client = socket( address->sa_family, SOCK_STREAM, 0 );
    CHECK( client != INVALID_SOCKET && connect( client, address, size ) == 0 );
    await( ACCEPTED, 1 );
    CHECK( seen_family == address->sa_family );
    exchange( client );
    CHECK_OK( socket_iocp_remove_listen_socket( port, listener ) );
    await( LISTEN_ENDED, 1 );
    forget_events();
    close_socket( listener );
}

/* A system without IPv6 has nothing to test here. */
static void ipv6( void )
{
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;
    SOCKET listener = socket( AF_INET6, SOCK_STREAM, 0 );
    memset( &address, 0, sizeof address );
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    if( listener == INVALID_SOCKET || bind( listener, (struct sockaddr *)&address, sizeof address ) != 0 )
    {
        printf( "families: this system has no IPv6\n" );
        if( listener != INVALID_SOCKET )
            close_socket( listener );
        return;
    }
    CHECK( getsockname( listener, (struct sockaddr *)&address, &size ) == 0 );
    serve( listener, (struct sockaddr *)&address, sizeof address );
}

#ifdef _WIN32

static void unix_sockets( void )
{
    printf( "families: no Unix sockets: AcceptEx is not for them\n" );
}

#else

static void unix_path( void )
{
    struct sockaddr_un address;
    char directory[] = "/tmp/socket-iocp-test-XXXXXX";
    SOCKET listener = socket( AF_UNIX, SOCK_STREAM, 0 );
    CHECK( mkdtemp( directory ) != NULL );
    memset( &address, 0, sizeof address );
    address.sun_family = AF_UNIX;
    snprintf( address.sun_path, sizeof address.sun_path, "%s/socket", directory );
    CHECK( bind( listener, (struct sockaddr *)&address, sizeof address ) == 0 );
    serve( listener, (struct sockaddr *)&address, sizeof address );
    unlink( address.sun_path );
    rmdir( directory );
}

static void socket_pair( void )
{
    SOCKET ends[2];
    void *handle;
    CHECK( socketpair( AF_UNIX, SOCK_STREAM, 0, ends ) == 0 );
    CHECK_OK( socket_iocp_add_connected_socket( port, ends[0], NULL ) );
    handle = socket_iocp_find_socket( port, ends[0] );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "x", 1 );
    CHECK( await( RECEIVED, 1 ).byte_count == 1 );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    expect_end( ends[1] );
    close_socket( ends[1] );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    forget_events();
}

static void unix_sockets( void )
{
    unix_path();
    socket_pair();
}

#endif

int main( void )
{
    int sockets = begin_test();
    port = new_port();
    ipv6();
    unix_sockets();
    delete_port( port );
    CHECK( open_sockets() == sockets );
    return 0;
}
