/* Sockets that go from one process to another; here the other one is this one. */
#include "check.h"

static void *port;

/* Two ends of a stream that can carry a socket. */
static void channel( SOCKET ends[2] )
{
#ifdef _WIN32
    tcp_pair( ends );
#else
    CHECK( socketpair( AF_UNIX, SOCK_STREAM, 0, ends ) == 0 );
#endif
}

static DWORD this_process( void )
{
#ifdef _WIN32
    return GetCurrentProcessId();
#else
    return 0;
#endif
}

/* A connection that was served by one port is served by another, with what was sent while it was in neither. */
static void a_connection( void )
{
    static char data[SOCKET_IOCP_MAX_PASSED_DATA];
    SOCKET ends[2], served[2], taken = INVALID_SOCKET;
    size_t length = sizeof data;
    void *handle = add_pair( port, served, NULL ), *other = new_port();
    struct event event;
    int code;
    channel( ends );
    write_all( served[1], "first", 5 );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    await( RECEIVED, 1 );
    CHECK_OK( socket_iocp_remove_socket( port, handle ) );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    write_all( served[1], "second", 6 );
    CHECK_OK( socket_iocp_pass_socket( ends[0], this_process(), served[0], "its state", 9 ) );
    CHECK_OK( socket_iocp_take_passed_socket( ends[1], &taken, data, &length ) );
    CHECK( taken != INVALID_SOCKET && taken != served[0] );
    CHECK( length == 9 && memcmp( data, "its state", 9 ) == 0 );
    close_socket( served[0] );

    code = socket_iocp_add_connected_socket( other, taken, NULL );
    if( sockets_come_back() )
    {
        CHECK_OK( code );
        CHECK_OK( socket_iocp_issue_recv( other, socket_iocp_find_socket( other, taken ) ) );
        event = await( RECEIVED, 2 );
        CHECK( event.byte_count == 6 && memcmp( event.data, "second", 6 ) == 0 );
        delete_port( other );
        expect_reset( served[1] );
    }
    else
    {
        CHECK( code == SOCKET_IOCP_E_UNSUPPORTED );
        expect_bytes( taken, "second" );
        delete_port( other );
        close_socket( taken );
    }
    close_socket( served[1] );
    close_socket( ends[0] );
    close_socket( ends[1] );
    forget_events();
}

/* Several in a row, with as much beside them as may be, of sockets that were in no port. */
static void in_a_row( void )
{
    static char sent_data[SOCKET_IOCP_MAX_PASSED_DATA], data[SOCKET_IOCP_MAX_PASSED_DATA + 1];
    const size_t lengths[] = { 0, 1, SOCKET_IOCP_MAX_PASSED_DATA };
    SOCKET ends[2], pairs[3][2], taken;
    size_t at, length;
    for( at = 0; at < sizeof sent_data; at++ )
        sent_data[at] = (char)( at * 7 );
    channel( ends );
    for( at = 0; at < 3; at++ )
    {
        tcp_pair( pairs[at] );
        CHECK_OK( socket_iocp_pass_socket( ends[0], this_process(), pairs[at][0], sent_data, lengths[at] ) );
    }
    for( at = 0; at < 3; at++ )
    {
        length = sizeof data;
        CHECK_OK( socket_iocp_take_passed_socket( ends[1], &taken, data, &length ) );
        CHECK( length == lengths[at] && memcmp( data, sent_data, length ) == 0 );
        close_socket( pairs[at][0] );
        write_all( taken, "from there", 10 );
        expect_bytes( pairs[at][1], "from there" );
        close_socket( taken );
        expect_end( pairs[at][1] );
        close_socket( pairs[at][1] );
    }
    close_socket( ends[0] );
    close_socket( ends[1] );
}

static void refused( void )
{
    static char data[SOCKET_IOCP_MAX_PASSED_DATA + 1];
    SOCKET ends[2], pair[2], taken = INVALID_SOCKET;
    size_t length = sizeof data;
    channel( ends );
    tcp_pair( pair );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_pass_socket( ends[0], this_process(), pair[0], data, sizeof data ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_pass_socket( ends[0], this_process(), pair[0], NULL, 1 ) );
    CHECK_CODE( BAD_SOCKET, socket_iocp_pass_socket( INVALID_SOCKET, this_process(), pair[0], NULL, 0 ) );
    CHECK_CODE( BAD_SOCKET, socket_iocp_pass_socket( ends[0], this_process(), INVALID_SOCKET, NULL, 0 ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_take_passed_socket( ends[1], NULL, data, &length ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_take_passed_socket( ends[1], &taken, NULL, &length ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_take_passed_socket( ends[1], &taken, data, NULL ) );
    CHECK_CODE( BAD_SOCKET, socket_iocp_take_passed_socket( INVALID_SOCKET, &taken, data, &length ) );
#ifndef _WIN32
    /* It would lose the socket. */
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_pass_socket( pair[0], 0, pair[1], NULL, 0 ) );
#endif

    /* What is too small a room takes nothing: the message is whole afterwards. */
    CHECK_OK( socket_iocp_pass_socket( ends[0], this_process(), pair[0], "x", 1 ) );
    length = SOCKET_IOCP_MAX_PASSED_DATA - 1;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_take_passed_socket( ends[1], &taken, data, &length ) );
    CHECK( taken == INVALID_SOCKET );
    length = SOCKET_IOCP_MAX_PASSED_DATA;
    CHECK_OK( socket_iocp_take_passed_socket( ends[1], &taken, data, &length ) );
    CHECK( length == 1 && data[0] == 'x' );
    close_socket( taken );

    write_all( ends[0], data, sizeof data );
    length = sizeof data;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_take_passed_socket( ends[1], &taken, data, &length ) );
    close_socket( ends[0] );
    close_socket( ends[1] );

    channel( ends );
    close_socket( ends[0] );
    CHECK_CODE( EOF, socket_iocp_take_passed_socket( ends[1], &taken, data, &length ) );
    close_socket( ends[1] );
    close_socket( pair[0] );
    close_socket( pair[1] );
}

int main( void )
{
    int open_before = begin_test();
    port = new_port();
    a_connection();
    in_a_row();
    refused();
    delete_port( port );
    CHECK( open_sockets() == open_before );
    return 0;
}
