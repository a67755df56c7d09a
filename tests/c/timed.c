/* Time limits, timers and cancels: each ends its own operation, and the socket goes on. */
#include "check.h"

enum { SHORT_MS = 20, LONG_MS = 24 * 60 * 60 * 1000, TOO_LONG_MS = 604800001, TICKS = 5 };

static void *port;
static char large[MORE_THAN_FITS];

/* ---- the timer callback, and what it was called with ---- */

static size_t timer_count;
static int timer_status[16];
static void *timer_states[16];
static char ticking, once;

static void timer_ended( SOCKET socket, void *user, void *state )
{
    struct socket_iocp_completion completion;
    memset( &completion, 0, sizeof completion );
    completion.size = sizeof completion;
    CHECK_OK( socket_iocp_result( port, &completion ) );
    CHECK( completion.operation == SOCKET_IOCP_OPERATION_TIMER && completion.socket == socket );
    CHECK( completion.byte_count == 0 && completion.os_error == 0 && user == (void *)large );
    /* It is no longer outstanding, and may be issued again. */
    if( state == &ticking && timer_count + 1 < TICKS )
        CHECK_OK( socket_iocp_issue_timer( port, completion.socket_iocp_socket_state, 1, state ) );
    pthread_mutex_lock( &log_mutex );
    CHECK( timer_count < sizeof timer_states / sizeof *timer_states );
    timer_status[timer_count] = completion.status;
    timer_states[timer_count++] = state;
    pthread_cond_broadcast( &log_changed );
    pthread_mutex_unlock( &log_mutex );
}

static void expect_timers( size_t count, int last_status, void *last_state )
{
    pthread_mutex_lock( &log_mutex );
    while( timer_count < count )
        pthread_cond_wait( &log_changed, &log_mutex );
    CHECK( timer_count == count );
    CHECK( timer_status[count - 1] == last_status && timer_states[count - 1] == last_state );
    pthread_mutex_unlock( &log_mutex );
}

/* ---- the tests ---- */

static void end( void *handle, SOCKET ends[2] )
{
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

static void recvs( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, large );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_recv_with_timeout( port, handle, TOO_LONG_MS ) );
    CHECK_CODE( NOT_OUTSTANDING, socket_iocp_cancel_recv( port, handle ) );
    CHECK_OK( socket_iocp_issue_recv_with_timeout( port, handle, SHORT_MS ) );
    CHECK( await( RECEIVED, 1 ).byte_count == 0 );
    CHECK( await( RECEIVED, 1 ).completion.status == SOCKET_IOCP_E_TIMED_OUT );
    CHECK_OK( socket_iocp_issue_recv_with_timeout( port, handle, LONG_MS ) );
    CHECK_CODE( BUSY, socket_iocp_issue_recv_with_timeout( port, handle, LONG_MS ) );
    CHECK_OK( socket_iocp_cancel_recv( port, handle ) );
    CHECK( await( RECEIVED, 2 ).byte_count == 0 );
    CHECK( await( RECEIVED, 2 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK_OK( socket_iocp_issue_recv_with_timeout( port, handle, LONG_MS ) );
    write_all( ends[1], "x", 1 );
    CHECK( await( RECEIVED, 3 ).byte_count == 1 && await( RECEIVED, 3 ).completion.status == 0 );
    end( handle, ends );
    CHECK_CODE( CLOSED, socket_iocp_issue_recv_with_timeout( port, handle, LONG_MS ) );
    CHECK_CODE( CLOSED, socket_iocp_cancel_recv( port, handle ) );
}

/* Reads what is there of the large send, and then what comes behind it. */
static void expect_behind( SOCKET from, uint64_t count, const char *text )
{
    static char read[65536];
    while( count > 0 )
    {
        size_t part = count < sizeof read ? (size_t)count : sizeof read;
        read_all( from, read, part );
        count -= part;
    }
    expect_bytes( from, text );
}

static void sends( void )
{
    SOCKET ends[2];
    struct event event;
    void *handle = add_pair( port, ends, large );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_async_send_with_timeout( port, handle, large, 1, NULL, TOO_LONG_MS ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_sync_send_with_timeout( port, handle, NULL, 1, NULL, LONG_MS ) );
    CHECK_OK( socket_iocp_issue_sync_send_with_timeout( port, handle, large, sizeof large, (void *)1, SHORT_MS ) );
    event = await( SENT, 1 );
    CHECK( event.write == (void *)1 && event.completion.status == SOCKET_IOCP_E_TIMED_OUT );
    CHECK( event.completion.byte_count > 0 && event.completion.byte_count < sizeof large );
    CHECK_OK( socket_iocp_issue_async_send_with_timeout( port, handle, (void *)"behind", 6, (void *)2, LONG_MS ) );
    expect_behind( ends[1], event.completion.byte_count, "behind" );
    CHECK( await( SENT, 2 ).write == (void *)2 && await( SENT, 2 ).completion.status == 0 );
    end( handle, ends );
}

static void cancelled_sends( void )
{
    SOCKET ends[2];
    struct event event;
    void *handle = add_pair( port, ends, large );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, large, sizeof large, (void *)1 ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"a", 1, (void *)2 ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"behind", 6, (void *)3 ) );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, (void *)"a", 1, (void *)2 ) );
    /* Both with this state, before the one that they have waited for. */
    CHECK_OK( socket_iocp_cancel_send( port, handle, (void *)2 ) );
    CHECK( await( SENT, 1 ).write == (void *)2 && await( SENT, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK( await( SENT, 2 ).write == (void *)2 && await( SENT, 2 ).completion.byte_count == 0 );
    CHECK_OK( socket_iocp_cancel_send( port, handle, (void *)1 ) );
    event = await( SENT, 3 );
    CHECK( event.write == (void *)1 && event.completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK( event.completion.byte_count < sizeof large );
    expect_behind( ends[1], event.completion.byte_count, "behind" );
    CHECK( await( SENT, 4 ).write == (void *)3 && await( SENT, 4 ).completion.status == 0 );
    end( handle, ends );
    CHECK_CODE( CLOSED, socket_iocp_cancel_send( port, handle, (void *)1 ) );
}

/* In a callback of the socket it is known whether there is such a send. */
static void cancel_in_a_callback( struct event *event )
{
    void *handle = event->completion.socket_iocp_socket_state;
    CHECK_CODE( NOT_OUTSTANDING, socket_iocp_cancel_send( port, handle, (void *)77 ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, large, sizeof large, (void *)1 ) );
    CHECK_OK( socket_iocp_cancel_send( port, handle, (void *)1 ) );
    CHECK_CODE( NOT_OUTSTANDING, socket_iocp_cancel_send( port, handle, (void *)1 ) );
}

static void cancels_in_callbacks( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, large );
    test_hooks[RECEIVED] = cancel_in_a_callback;
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "x", 1 );
    CHECK( await( SENT, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    end( handle, ends );
}

static void timer( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, large );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_timer( port, handle, TOO_LONG_MS, NULL ) );
    CHECK_CODE( NOT_OUTSTANDING, socket_iocp_cancel_timer( port, handle ) );
    CHECK_OK( socket_iocp_issue_timer( port, handle, SHORT_MS, &ticking ) );
    expect_timers( TICKS, 0, &ticking );
    CHECK_OK( socket_iocp_issue_timer( port, handle, LONG_MS, &once ) );
    CHECK_CODE( BUSY, socket_iocp_issue_timer( port, handle, LONG_MS, &once ) );
    CHECK_OK( socket_iocp_cancel_timer( port, handle ) );
    expect_timers( TICKS + 1, SOCKET_IOCP_E_CANCELLED, &once );
    CHECK_OK( socket_iocp_issue_timer( port, handle, LONG_MS, NULL ) );
    end( handle, ends );
    /* Before the farewell. */
    expect_timers( TICKS + 2, SOCKET_IOCP_E_CANCELLED, NULL );
    CHECK_CODE( CLOSED, socket_iocp_issue_timer( port, handle, SHORT_MS, &once ) );
    CHECK_CODE( CLOSED, socket_iocp_cancel_timer( port, handle ) );
}

static void without_a_timer_callback( void )
{
    SOCKET ends[2];
    void *other = new_port(), *handle = add_pair( other, ends, NULL );
    CHECK_CODE( UNSUPPORTED, socket_iocp_issue_timer( other, handle, SHORT_MS, NULL ) );
    CHECK_CODE( NOT_OUTSTANDING, socket_iocp_cancel_timer( other, handle ) );
    CHECK_CODE( WRONG_PORT, socket_iocp_cancel_timer( port, handle ) );
    delete_port( other );
    close_socket( ends[1] );
    forget_events();
}

int main( void )
{
    int sockets = begin_test();
    struct socket_iocp_options options = default_options();
    options.timer_callback_function = timer_ended;
    port = new_port_with( &options );
    recvs();
    sends();
    cancelled_sends();
    cancels_in_callbacks();
    timer();
    without_a_timer_callback();
    delete_port( port );
    CHECK( open_sockets() == sockets );
    return 0;
}
