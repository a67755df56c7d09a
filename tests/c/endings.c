/* How sockets end: close, abort, remove, half-close, failure, and a close behind the library's back. */
#include "check.h"

static void *port;
static char much[MORE_THAN_FITS];

static void read_to_the_end( int descriptor, size_t expected )
{
    static char in[65536];
    size_t got = 0;
    ssize_t count;
    while( ( count = recv( descriptor, in, sizeof in, 0 ) ) > 0 )
        got += (size_t)count;
    CHECK( count == 0 );
    CHECK( got == expected );
}

/* What was sent before a close arrives whole, though input of our own was never read. */
static void close_delivers( void )
{
    enum { SIZE = 4 * 1024 * 1024 };
    int ends[2];
    void *handle = add_pair( port, ends, &ends );
    write_all( ends[1], "never read", 10 );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, much, SIZE, (void *)1 ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, much, 1, (void *)2 ) );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    read_to_the_end( ends[1], SIZE + 1 );
    CHECK( logged( ENDED ) == 0 );
    close( ends[1] );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    CHECK( await( ENDED, 1 ).user == &ends );
    CHECK_OK( await( SENT, 1 ).completion.status );
    CHECK_OK( await( SENT, 2 ).completion.status );
    forget_events();
}

/* A recv outstanding at the end is reported by the farewell alone. */
static void recv_ends_with_its_socket( void )
{
    int ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    expect_end( ends[1] );
    close( ends[1] );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    CHECK( logged( RECEIVED ) == 0 );
    forget_events();
}

static void close_gives_up( void )
{
    struct socket_iocp_options options = default_options();
    int ends[2];
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
    close( ends[1] );
    forget_events();
}

static void expect_reset( int descriptor )
{
    char byte;
    CHECK( recv( descriptor, &byte, 1, 0 ) == -1 );
    CHECK( errno == ECONNRESET );
}

static void abort_resets( void )
{
    int ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    expect_reset( ends[1] );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK( logged( RECEIVED ) == 0 );
    CHECK_CODE( CLOSED, socket_iocp_abort_socket( port, handle ) );
    close( ends[1] );
    forget_events();
}

static void abort_reports_every_send( void )
{
    enum { SENDS = 10 };
    int ends[2];
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
    close( ends[1] );
    forget_events();
}

static void abort_overrides_close( void )
{
    int ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, much, sizeof much, NULL ) );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    close( ends[1] );
    forget_events();
}

static void write_in_farewell( struct event *event )
{
    CHECK_OK( event->completion.status );
    write_all( event->socket, "mine again", 10 );
}

static void remove_hands_back( void )
{
    int ends[2];
    void *handle = add_pair( port, ends, NULL ), *again;
    test_hooks[ENDED] = write_in_farewell;
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_OK( socket_iocp_remove_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).socket == ends[0] );
    CHECK( is_open( ends[0] ) );
    expect_bytes( ends[1], "mine again" );
    CHECK_CODE( CLOSED, socket_iocp_issue_recv( port, handle ) );

    /* What comes now waits for whoever has the socket next: here the port again. */
    write_all( ends[1], "kept", 4 );
    forget_events();
    CHECK_OK( socket_iocp_add_connected_socket( port, ends[0], NULL ) );
    again = socket_iocp_find_socket( port, ends[0] );
    CHECK( again != NULL && again != handle );
    CHECK_OK( socket_iocp_issue_recv( port, again ) );
    CHECK( await( RECEIVED, 1 ).byte_count == 4 );
    CHECK_OK( socket_iocp_remove_socket( port, again ) );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    CHECK( is_open( ends[0] ) );
    close( ends[0] ), close( ends[1] );
    forget_events();
}

static void half_close( void )
{
    int ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"bye", 3, NULL ) );
    CHECK_OK( socket_iocp_shutdown_send( port, handle ) );
    expect_bytes( ends[1], "bye" );
    expect_end( ends[1] );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "still here", 10 );
    CHECK( await( RECEIVED, 1 ).byte_count == 10 );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK( shutdown( ends[1], SHUT_WR ) == 0 );
    CHECK( await( RECEIVED, 2 ).byte_count == 0 );

    /* FIN both ways ends nothing. */
    CHECK( socket_iocp_find_socket( port, ends[0] ) == handle && logged( ENDED ) == 0 );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    close( ends[1] );
    forget_events();
}

/* A failure that nobody watches for is said by the next operation. */
static void failure( void )
{
    struct linger linger = { 1, 0 };
    struct pollfd poll_reset;
    int ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK( setsockopt( ends[1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger ) == 0 );
    close( ends[1] );
    poll_reset.fd = ends[0];
    poll_reset.events = POLLIN;
    CHECK( poll( &poll_reset, 1, -1 ) == 1 );
    CHECK( socket_iocp_find_socket( port, ends[0] ) == handle && logged( ENDED ) == 0 );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_RESET );
    CHECK( await( ENDED, 1 ).completion.os_error == ECONNRESET );
    CHECK( logged( RECEIVED ) == 0 );
    forget_events();
}

/* A SOCKET closed behind the library's back: its number's next owner is left in peace. */
static void foreign_close( void )
{
    int ends[2], next[2];
    void *handle;
    add_pair( port, ends, (void *)1 );
    tcp_pair( next );
    close( ends[0] );
    CHECK( dup2( next[0], ends[0] ) == ends[0] );
    close( next[0] );
    CHECK_OK( socket_iocp_add_connected_socket( port, ends[0], (void *)2 ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_FOREIGN_CLOSE );
    CHECK( await( ENDED, 1 ).user == (void *)1 );
    handle = socket_iocp_find_socket( port, ends[0] );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( next[1], "hello", 5 );
    CHECK( await( RECEIVED, 1 ).user == (void *)2 && await( RECEIVED, 1 ).byte_count == 5 );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK( await( ENDED, 2 ).user == (void *)2 );
    close( ends[1] ), close( next[1] );
    forget_events();
}

int main( void )
{
    int descriptors = open_descriptors();
    begin_test();
    port = new_port();
    close_delivers();
    recv_ends_with_its_socket();
    close_gives_up();
    abort_resets();
    abort_reports_every_send();
    abort_overrides_close();
    remove_hands_back();
    half_close();
    failure();
    foreign_close();
    delete_port( port );
    CHECK( open_descriptors() == descriptors );
    return 0;
}
