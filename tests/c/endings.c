/* How sockets end: close, abort, remove, half-close, failure, and a close behind the library's back. */
#include "check.h"

static void *port;
static char much[MORE_THAN_FITS];

static void read_to_the_end( SOCKET from, size_t expected )
{
    static char in[65536];
    size_t got = 0;
    ssize_t count;
    while( ( count = recv( from, in, sizeof in, 0 ) ) > 0 )
        got += (size_t)count;
    CHECK( count == 0 );
    CHECK( got == expected );
}

/* What was sent before a close arrives whole, though input of our own was never read. */
static void close_delivers( void )
{
    enum { SIZE = 4 * 1024 * 1024 };
    SOCKET ends[2];
    void *handle = add_pair( port, ends, &ends );
    write_all( ends[1], "never read", 10 );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, much, SIZE, (void *)1 ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, much, 1, (void *)2 ) );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    read_to_the_end( ends[1], SIZE + 1 );
    CHECK( logged( ENDED ) == 0 );
    close_socket( ends[1] );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    CHECK( await( ENDED, 1 ).user == &ends );
    CHECK_OK( await( SENT, 1 ).completion.status );
    CHECK_OK( await( SENT, 2 ).completion.status );
    forget_events();
}

/* A recv outstanding at the end is reported by the farewell alone. */
static void recv_ends_with_its_socket( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    expect_end( ends[1] );
    close_socket( ends[1] );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    CHECK( logged( RECEIVED ) == 0 );
    forget_events();
}

static void close_gives_up( void )
{
    struct socket_iocp_options options = default_options();
    SOCKET ends[2];
    void *hasty, *handle;
    options.linger_ms = 20;
    hasty = new_port_with( &options );
    handle = add_pair( hasty, ends, NULL );
    CHECK_OK( socket_iocp_issue_sync_send( hasty, handle, much, sizeof much, (void *)1 ) );
    CHECK_OK( socket_iocp_close_socket( hasty, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_TIMED_OUT );
    CHECK( await( SENT, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK( await( SENT, 1 ).completion.byte_count < sizeof much );
    delete_port( hasty );
    close_socket( ends[1] );
    forget_events();
}

static void idleness_ends( void )
{
    struct socket_iocp_options options = default_options();
    SOCKET ends[2];
    void *hasty, *handle;
    options.idle_timeout_ms = 20;
    hasty = new_port_with( &options );
    handle = add_pair( hasty, ends, NULL );
    CHECK_OK( socket_iocp_issue_recv( hasty, handle ) );
    CHECK_OK( socket_iocp_issue_async_send( hasty, handle, much, sizeof much, (void *)1 ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_TIMED_OUT );
    CHECK( await( SENT, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK( logged( RECEIVED ) == 0 );
    delete_port( hasty );
    close_socket( ends[1] );
    forget_events();
}

static void abort_resets( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    expect_reset( ends[1] );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK( logged( RECEIVED ) == 0 );
    CHECK_CODE( CLOSED, socket_iocp_abort_socket( port, handle ) );
    close_socket( ends[1] );
    forget_events();
}

static void abort_reports_every_send( void )
{
    enum { SENDS = 10 };
    SOCKET ends[2];
    size_t index;
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, much, sizeof much, (void *)1 ) );
    for( index = 2; index <= SENDS; index++ )
        CHECK_OK( socket_iocp_issue_async_send( port, handle, much, 1, (void *)index ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK( logged( SENT ) == SENDS );
    for( index = 1; index <= SENDS; index++ )
    {
        CHECK( await( SENT, index ).write == (void *)index );
        CHECK( await( SENT, index ).completion.status == SOCKET_IOCP_E_CANCELLED );
    }
    close_socket( ends[1] );
    forget_events();
}

static void abort_overrides_close( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, much, sizeof much, NULL ) );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    close_socket( ends[1] );
    forget_events();
}

static void write_in_farewell( struct event *event )
{
    CHECK_OK( event->completion.status );
    write_all( event->socket, "mine again", 10 );
}

static void remove_hands_back( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    test_hooks[ENDED] = write_in_farewell;
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_OK( socket_iocp_remove_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).socket == ends[0] );
    CHECK( is_open( ends[0] ) );
    expect_bytes( ends[1], "mine again" );
    CHECK_CODE( CLOSED, socket_iocp_issue_recv( port, handle ) );

    /* What comes now waits for whoever has the socket next. */
    write_all( ends[1], "kept", 4 );
    expect_bytes( ends[0], "kept" );
    forget_events();
    close_socket( ends[0] ), close_socket( ends[1] );
}

static void removed_comes_back( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL ), *again;
    CHECK_OK( socket_iocp_remove_socket( port, handle ) );
    await( ENDED, 1 );
    forget_events();
    if( !sockets_come_back() )
    {
        CHECK_CODE( UNSUPPORTED, socket_iocp_add_connected_socket( port, ends[0], NULL ) );
        CHECK( is_open( ends[0] ) );
        close_socket( ends[0] ), close_socket( ends[1] );
        return;
    }
    write_all( ends[1], "kept", 4 );
    CHECK_OK( socket_iocp_add_connected_socket( port, ends[0], NULL ) );
    again = socket_iocp_find_socket( port, ends[0] );
    CHECK( again != NULL && again != handle );
    CHECK_OK( socket_iocp_issue_recv( port, again ) );
    CHECK( await( RECEIVED, 1 ).byte_count == 4 );
    CHECK_OK( socket_iocp_remove_socket( port, again ) );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    CHECK( is_open( ends[0] ) );
    close_socket( ends[0] ), close_socket( ends[1] );
    forget_events();
}

static void half_close( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"bye", 3, NULL ) );
    CHECK_OK( socket_iocp_shutdown_send( port, handle ) );
    expect_bytes( ends[1], "bye" );
    expect_end( ends[1] );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "still here", 10 );
    CHECK( await( RECEIVED, 1 ).byte_count == 10 );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK( shutdown( ends[1], SENDING ) == 0 );
    CHECK( await( RECEIVED, 2 ).byte_count == 0 );

    /* FIN both ways ends nothing. */
    CHECK( socket_iocp_find_socket( port, ends[0] ) == handle && logged( ENDED ) == 0 );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    close_socket( ends[1] );
    forget_events();
}

/* A failure that nobody watches for is said by the next operation. */
static void failure( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    reset( ends[1] );
    CHECK( wait_readable( ends[0] ) );
    CHECK( socket_iocp_find_socket( port, ends[0] ) == handle && logged( ENDED ) == 0 );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_RESET );
    CHECK( is_reset( await( ENDED, 1 ).completion.os_error ) );
    CHECK( logged( RECEIVED ) == 0 );
    forget_events();
}

/* A SOCKET closed behind the library's back: its number's next owner is left in peace. */
static void foreign_close( void )
{
    SOCKET ends[2], next[2];
    void *handle;
    add_pair( port, ends, (void *)1 );
    close_socket( ends[0] );
    CHECK( tcp_pair_under( ends[0], next ) );
    CHECK_OK( socket_iocp_add_connected_socket( port, ends[0], (void *)2 ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_FOREIGN_CLOSE );
    CHECK( await( ENDED, 1 ).user == (void *)1 );
    handle = socket_iocp_find_socket( port, ends[0] );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( next[1], "hello", 5 );
    CHECK( await( RECEIVED, 1 ).user == (void *)2 && await( RECEIVED, 1 ).byte_count == 5 );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK( await( ENDED, 2 ).user == (void *)2 );
    close_socket( ends[1] ), close_socket( next[1] );
    forget_events();
}

int main( void )
{
    int sockets = begin_test();
    port = new_port();
    close_delivers();
    recv_ends_with_its_socket();
    close_gives_up();
    idleness_ends();
    abort_resets();
    abort_reports_every_send();
    abort_overrides_close();
    remove_hands_back();
    removed_comes_back();
    half_close();
    failure();
    foreign_close();
    delete_port( port );
    CHECK( open_sockets() == sockets );
    return 0;
}
