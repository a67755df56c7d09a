/* Read buffers: kept with their socket, taken, sent elsewhere, handed to another thread, outliving their port. */
#include "check.h"

static void *port;
static void *taken[2];
static int take_codes[3];

static void take_it( struct event *event )
{
    take_codes[0] = socket_iocp_take_buffer( event->port, event->completion.socket_iocp_socket_state, &taken[0] );
    take_codes[1] = socket_iocp_take_buffer( event->port, event->completion.socket_iocp_socket_state, &taken[1] );
    take_codes[2] = socket_iocp_take_buffer( event->port, event->completion.socket_iocp_socket_state, NULL );
}

static void take_after_next_recv( struct event *event )
{
    void *handle = event->completion.socket_iocp_socket_state;
    if( event->byte_count > 0 )
        CHECK_OK( socket_iocp_issue_recv( event->port, handle ) );
    else
        take_codes[0] = socket_iocp_take_buffer( event->port, handle, &taken[0] );
}

static uint64_t taken_now( void )
{
    struct socket_iocp_counters counters;
    counters.size = sizeof counters;
    CHECK_OK( socket_iocp_statistics( port, &counters ) );
    return counters.taken_buffers_now;
}

static void *release_elsewhere( void *buffer )
{
    CHECK_OK( socket_iocp_release_buffer( buffer ) );
    return NULL;
}

/* Receives one message and takes its buffer. */
static void *receive_and_take( void *from_port, SOCKET ends[2], const char *text )
{
    void *handle = add_pair( from_port, ends, NULL );
    struct event event;
    test_hooks[RECEIVED] = take_it;
    CHECK_OK( socket_iocp_issue_recv( from_port, handle ) );
    write_all( ends[1], text, strlen( text ) );
    event = await( RECEIVED, 1 );
    CHECK_OK( take_codes[0] );
    CHECK( taken[0] == event.data );
    CHECK( memcmp( taken[0], text, strlen( text ) ) == 0 );
    return handle;
}

static void taken_in_the_callback( void )
{
    SOCKET ends[2], other[2];
    void *handle = receive_and_take( port, ends, "mine now" ), *other_handle;
    pthread_t thread;

    CHECK( take_codes[1] == SOCKET_IOCP_E_INVALID_ARGUMENT );
    CHECK( take_codes[2] == SOCKET_IOCP_E_NULL_POINTER );
    CHECK( taken_now() == 1 );

    /* The next message comes in another buffer: this one is left alone. */
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "more", 4 );
    CHECK( await( RECEIVED, 2 ).data != taken[0] || taken_now() == 2 );
    CHECK_OK( take_codes[0] );
    CHECK_OK( socket_iocp_release_buffer( taken[0] ) );
    taken[0] = await( RECEIVED, 1 ).data;
    CHECK( memcmp( taken[0], "mine now", 8 ) == 0 );

    /* All of it may be written to, and sent on any socket. */
    memset( taken[0], 'x', READ_BUFFER_SIZE );
    other_handle = add_pair( port, other, NULL );
    CHECK_OK( socket_iocp_issue_async_send( port, other_handle, taken[0], 3, NULL ) );
    expect_bytes( other[1], "xxx" );
    await( SENT, 1 );

    CHECK( pthread_create( &thread, NULL, release_elsewhere, taken[0] ) == 0 );
    CHECK( pthread_join( thread, NULL ) == 0 );
    CHECK( taken_now() == 0 );
    CHECK_CODE( BAD_HANDLE, socket_iocp_release_buffer( taken[0] ) );

    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK_OK( socket_iocp_abort_socket( port, other_handle ) );
    await( ENDED, 2 );
    close_socket( ends[1] ), close_socket( other[1] );
    forget_events();
}

static void nothing_to_take( void )
{
    SOCKET ends[2];
    void *buffer = NULL, *handle = add_pair( port, ends, NULL );

    CHECK_CODE( WRONG_CONTEXT, socket_iocp_take_buffer( port, handle, &buffer ) );
    test_hooks[RECEIVED] = take_after_next_recv;
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "x", 1 );
    await( RECEIVED, 1 );
    CHECK( shutdown( ends[1], SENDING ) == 0 );
    CHECK( await( RECEIVED, 2 ).byte_count == 0 );
    CHECK( take_codes[0] == SOCKET_IOCP_E_INVALID_ARGUMENT && buffer == NULL );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

static void nothing_to_release( void )
{
    int on_the_stack = 0;
    void *on_the_heap = malloc( 1 );
    CHECK_CODE( NULL_POINTER, socket_iocp_release_buffer( NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_release_buffer( &on_the_stack ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_release_buffer( on_the_heap ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_release_buffer( (void *)1 ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_release_buffer( port ) );
    free( on_the_heap );
}

/* A buffer that the program only borrows cannot be released. */
static void borrowed( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    struct event event;
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "lent", 4 );
    event = await( RECEIVED, 1 );
    CHECK_CODE( BAD_HANDLE, socket_iocp_release_buffer( event.data ) );
    CHECK( memcmp( event.data, "lent", 4 ) == 0 );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

static void above_the_limit( void )
{
    struct socket_iocp_options options = default_options();
    SOCKET ends[2];
    void *limited, *handle;
    options.max_taken_buffers = 1;
    limited = new_port_with( &options );
    handle = receive_and_take( limited, ends, "one" );
    CHECK_OK( socket_iocp_issue_recv( limited, handle ) );
    write_all( ends[1], "two", 3 );
    await( RECEIVED, 2 );
    CHECK( take_codes[0] == SOCKET_IOCP_E_LIMIT );
    CHECK_OK( socket_iocp_release_buffer( taken[0] ) );
    CHECK_OK( socket_iocp_issue_recv( limited, handle ) );
    write_all( ends[1], "three", 5 );
    await( RECEIVED, 3 );
    CHECK_OK( take_codes[0] );
    CHECK_OK( socket_iocp_release_buffer( taken[0] ) );
    delete_port( limited );
    close_socket( ends[1] );
    forget_events();
}

static void outliving_the_port( void )
{
    SOCKET ends[2];
    void *short_lived = new_port();
    receive_and_take( short_lived, ends, "last words" );
    delete_port( short_lived );
    CHECK( memcmp( taken[0], "last words", 10 ) == 0 );
    memset( taken[0], 0, READ_BUFFER_SIZE );
    CHECK_OK( socket_iocp_release_buffer( taken[0] ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_release_buffer( taken[0] ) );
    close_socket( ends[1] );
    forget_events();
}

int main( void )
{
    begin_test();
    port = new_port();
    taken_in_the_callback();
    nothing_to_take();
    nothing_to_release();
    borrowed();
    above_the_limit();
    outliving_the_port();
    delete_port( port );
    return 0;
}
