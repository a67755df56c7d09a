/* Handles that are NULL, made up, dead, of the wrong kind or of another port: an error of the call, whatever call it is. */
#include "check.h"

/* Every call on a port gives this code, those that return nothing do nothing. */
static void expect_of_port( void *port, int code, int line )
{
    struct socket_iocp_completion completion;
    struct socket_iocp_counters counters;
    uint32_t backend;
    int descriptor;
    SOCKET ends[2];
    void *buffer = NULL, *socket_state = (void *)(uintptr_t)0x123456;

    completion.size = sizeof completion;
    counters.size = sizeof counters;
    tcp_pair( ends );
#define EXPECT( call ) check_code( __FILE__, line, #call, code, call )
    EXPECT( socket_iocp_add_listen_socket( port, ends[0], 1, NULL ) );
    EXPECT( socket_iocp_add_connected_socket( port, ends[0], NULL ) );
    EXPECT( socket_iocp_issue_recv( port, socket_state ) );
    EXPECT( socket_iocp_issue_sync_send( port, socket_state, &code, 1, NULL ) );
    EXPECT( socket_iocp_issue_async_send( port, socket_state, &code, 1, NULL ) );
    EXPECT( socket_iocp_close_socket( port, socket_state ) );
    EXPECT( socket_iocp_abort_socket( port, socket_state ) );
    EXPECT( socket_iocp_remove_socket( port, socket_state ) );
    EXPECT( socket_iocp_shutdown_send( port, socket_state ) );
    EXPECT( socket_iocp_remove_listen_socket( port, ends[0] ) );
    EXPECT( socket_iocp_set_accept_backlog( port, ends[0], 1 ) );
    EXPECT( socket_iocp_result( port, &completion ) );
    EXPECT( socket_iocp_take_buffer( port, socket_state, &buffer ) );
    EXPECT( socket_iocp_run( port, 0 ) );
    EXPECT( socket_iocp_pollable( port, &descriptor ) );
    EXPECT( socket_iocp_backend( port, &backend, NULL, 0 ) );
    EXPECT( socket_iocp_statistics( port, &counters ) );
#undef EXPECT
    CHECK( socket_iocp_find_socket( port, ends[0] ) == NULL );
    CHECK( buffer == NULL && is_open( ends[0] ) );
    close_socket( ends[0] ), close_socket( ends[1] );
    socket_iocp_delete( port );
}

/* Every call on a socket gives this code. */
static void expect_of_socket( void *port, void *socket_state, int code, int line )
{
    void *buffer = NULL;
    char byte = 0;
#define EXPECT( call ) check_code( __FILE__, line, #call, code, call )
    EXPECT( socket_iocp_issue_recv( port, socket_state ) );
    EXPECT( socket_iocp_issue_sync_send( port, socket_state, &byte, 1, NULL ) );
    EXPECT( socket_iocp_issue_async_send( port, socket_state, &byte, 1, NULL ) );
    EXPECT( socket_iocp_shutdown_send( port, socket_state ) );
    EXPECT( socket_iocp_close_socket( port, socket_state ) );
    EXPECT( socket_iocp_remove_socket( port, socket_state ) );
    EXPECT( socket_iocp_abort_socket( port, socket_state ) );
#undef EXPECT
    CHECK( socket_iocp_take_buffer( port, socket_state, &buffer ) < 0 && buffer == NULL );
}

static void made_up( void *port, void *socket_state )
{
    int on_the_stack = 0;
    void *on_the_heap = malloc( 1 );

    expect_of_port( NULL, SOCKET_IOCP_E_NULL_POINTER, __LINE__ );
    expect_of_port( &on_the_stack, SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    expect_of_port( on_the_heap, SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    expect_of_port( socket_state, SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    expect_of_port( (void *)( (uintptr_t)port + 2 ), SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    expect_of_port( (void *)UINTPTR_MAX, SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );

    expect_of_socket( port, NULL, SOCKET_IOCP_E_NULL_POINTER, __LINE__ );
    expect_of_socket( port, port, SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    expect_of_socket( port, (void *)1, SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    expect_of_socket( port, &on_the_stack, SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    expect_of_socket( port, on_the_heap, SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    expect_of_socket( port, (void *)( (uintptr_t)socket_state ^ ( (uintptr_t)1 << ( 8 * sizeof( void * ) - 2 ) ) ),
                      SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    expect_of_socket( port, (void *)UINTPTR_MAX, SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    expect_of_socket( port, (void *)( UINTPTR_MAX - 1 ), SOCKET_IOCP_E_BAD_HANDLE, __LINE__ );
    free( on_the_heap );
}

static void of_another_port( void *port, void *socket_state )
{
    void *other = new_port();
    expect_of_socket( other, socket_state, SOCKET_IOCP_E_WRONG_PORT, __LINE__ );
    delete_port( other );
    CHECK_OK( socket_iocp_issue_sync_send( port, socket_state, (void *)"x", 1, NULL ) );
    await( SENT, 1 );
}

/* Adds one end of a connection under this number, which is free. */
static void *add_under( void *port, SOCKET number, SOCKET ends[2] )
{
    void *handle;
    CHECK( tcp_pair_under( number, ends ) );
    CHECK_OK( socket_iocp_add_connected_socket( port, number, NULL ) );
    handle = socket_iocp_find_socket( port, number );
    CHECK( handle != NULL );
    return handle;
}

/* A dead handle stays dead when others have its slot and its descriptor number. */
static void dead_sockets( void *port )
{
    enum { MANY = 50 };
    SOCKET ends[2], again[MANY][2];
    int index;
    void *dead = add_pair( port, ends, NULL );

    CHECK_OK( socket_iocp_abort_socket( port, dead ) );
    await( ENDED, 1 );
    /* The peer sees the reset when the socket is closed. */
    expect_reset( ends[1] );
    close_socket( ends[1] );
    for( index = 0; index < MANY; index++ )
    {
        void *alive = index == 0 ? add_under( port, ends[0], again[index] ) : add_pair( port, again[index], NULL );
        CHECK( alive != dead );
        expect_of_socket( port, dead, SOCKET_IOCP_E_CLOSED, __LINE__ );
    }
    CHECK( logged( ENDED ) == 1 );
    for( index = 0; index < MANY; index++ )
        CHECK_OK( socket_iocp_abort_socket( port, socket_iocp_find_socket( port, again[index][0] ) ) );
    await( ENDED, 1 + MANY );
    for( index = 0; index < MANY; index++ )
        close_socket( again[index][1] );
}

static void dead_ports( void )
{
    SOCKET ends[2];
    void *dead = new_port(), *socket_state = add_pair( dead, ends, NULL ), *again;
    delete_port( dead );
    expect_of_port( dead, SOCKET_IOCP_E_CLOSED, __LINE__ );
    again = new_port();
    CHECK( again != dead );
    expect_of_port( dead, SOCKET_IOCP_E_CLOSED, __LINE__ );
    CHECK( socket_iocp_issue_recv( again, socket_state ) == SOCKET_IOCP_E_CLOSED );
    delete_port( again );
    close_socket( ends[1] );
}

int main( void )
{
    int sockets = begin_test();
    SOCKET ends[2];
    void *port, *socket_state;
    port = new_port();
    socket_state = add_pair( port, ends, NULL );
    made_up( port, socket_state );
    of_another_port( port, socket_state );
    dead_sockets( port );
    CHECK( socket_iocp_find_socket( port, ends[0] ) == socket_state );
    delete_port( port );
    close_socket( ends[1] );
    dead_ports();
    CHECK( open_sockets() == sockets );
    return 0;
}
