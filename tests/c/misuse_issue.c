/* Operations that cannot be issued: each refusal has its error and changes nothing. */
#include "check.h"

static char much[MORE_THAN_FITS];

static void second_recv( void *port )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_CODE( BUSY, socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "one", 3 );
    CHECK( await( RECEIVED, 1 ).byte_count == 3 );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    CHECK( logged( RECEIVED ) == 1 );
    close_socket( ends[1] );
    forget_events();
}

static void recv_after_the_end( void *port )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK( shutdown( ends[1], SENDING ) == 0 );
    CHECK( await( RECEIVED, 1 ).byte_count == 0 );
    CHECK_CODE( EOF, socket_iocp_issue_recv( port, handle ) );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, (void *)"still", 5, NULL ) );
    expect_bytes( ends[1], "still" );
    CHECK( logged( ENDED ) == 0 );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

static void second_sync_send( void *port )
{
    SOCKET ends[2];
    int first, second;
    void *handle = add_pair( port, ends, NULL );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_sync_send( port, handle, NULL, 1, NULL ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_async_send( port, handle, NULL, 1, NULL ) );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, much, sizeof much, &first ) );
    CHECK_CODE( BUSY, socket_iocp_issue_sync_send( port, handle, much, 1, &second ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, much, 1, &second ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK( await( SENT, 1 ).write == &first && await( SENT, 2 ).write == &second );
    CHECK( await( SENT, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    await( ENDED, 1 );
    CHECK( logged( SENT ) == 2 );
    close_socket( ends[1] );
    forget_events();
}

static void send_after_shutdown( void *port )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"last", 4, NULL ) );
    CHECK_OK( socket_iocp_shutdown_send( port, handle ) );
    CHECK_CODE( SHUTDOWN, socket_iocp_shutdown_send( port, handle ) );
    CHECK_CODE( SHUTDOWN, socket_iocp_issue_sync_send( port, handle, much, 1, NULL ) );
    CHECK_CODE( SHUTDOWN, socket_iocp_issue_async_send( port, handle, much, 1, NULL ) );
    expect_bytes( ends[1], "last" );
    expect_end( ends[1] );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    CHECK( logged( SENT ) == 1 );
    close_socket( ends[1] );
    forget_events();
}

static void queue_full( void )
{
    struct socket_iocp_options options = default_options();
    SOCKET ends[2];
    void *port, *handle;
    options.max_queued_sends = 2;
    port = new_port_with( &options );
    handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, much, sizeof much, NULL ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, much, 1, NULL ) );
    CHECK_CODE( QUEUE_FULL, socket_iocp_issue_async_send( port, handle, much, 1, NULL ) );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, much, 1, NULL ) );
    delete_port( port );
    CHECK( logged( SENT ) == 3 && logged( ENDED ) == 1 );
    close_socket( ends[1] );
    forget_events();
}

static void too_many_bytes( void )
{
    struct socket_iocp_options options = default_options();
    SOCKET ends[2];
    void *port, *handle;
    options.max_queued_bytes = sizeof much + 1;
    port = new_port_with( &options );
    handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, much, sizeof much, NULL ) );
    CHECK_CODE( QUEUE_FULL, socket_iocp_issue_async_send( port, handle, much, 2, NULL ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, much, 1, NULL ) );
    CHECK_CODE( QUEUE_FULL, socket_iocp_issue_async_send( port, handle, much, 1, NULL ) );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, much, 1, NULL ) );
    delete_port( port );
    CHECK( logged( SENT ) == 3 && logged( ENDED ) == 1 );
    close_socket( ends[1] );
    forget_events();
}

static void after_the_end_began( void *port )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    CHECK_CODE( CLOSED, socket_iocp_issue_recv( port, handle ) );
    CHECK_CODE( CLOSED, socket_iocp_issue_sync_send( port, handle, much, 1, NULL ) );
    CHECK_CODE( CLOSED, socket_iocp_issue_async_send( port, handle, much, 1, NULL ) );
    CHECK_CODE( CLOSED, socket_iocp_shutdown_send( port, handle ) );
    CHECK_CODE( CLOSED, socket_iocp_close_socket( port, handle ) );
    CHECK_CODE( CLOSED, socket_iocp_remove_socket( port, handle ) );
    close_socket( ends[1] );
    CHECK( await( ENDED, 1 ).completion.status == 0 );
    CHECK( logged( SENT ) == 0 && logged( RECEIVED ) == 0 );
    forget_events();
}

int main( void )
{
    int sockets = begin_test();
    void *port;
    port = new_port();
    second_recv( port );
    recv_after_the_end( port );
    second_sync_send( port );
    send_after_shutdown( port );
    after_the_end_began( port );
    delete_port( port );
    queue_full();
    too_many_bytes();
    CHECK( open_sockets() == sockets );
    return 0;
}
