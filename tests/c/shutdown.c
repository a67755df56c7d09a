/* The graceful end: what finishes and what is aborted, a second call, a delete meanwhile, and the inside of a callback. */
#include "check.h"

enum { NEVER_MS = 3600 * 1000 };

static void *the_port;

static struct socket_iocp_ended no_numbers( void )
{
    struct socket_iocp_ended ended;
    memset( &ended, 0xff, sizeof ended );
    ended.size = sizeof ended;
    return ended;
}

static void idle_and_left( void )
{
    struct socket_iocp_ended ended = no_numbers();
    SOCKET idle[2], working[2];
    void *port = new_port(), *handle = add_pair( port, idle, NULL );

    add_pair( port, working, NULL );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    close_socket( idle[1] );
    ended.size = 1;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_shutdown( port, 0, &ended ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_shutdown( NULL, 0, NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_shutdown( &ended, 0, NULL ) );
    await( RECEIVED, 1 );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    await( ENDED, 1 );
    ended.size = sizeof ended;
    CHECK_OK( socket_iocp_shutdown( port, 20, &ended ) );
    CHECK( ended.finished == 0 && ended.aborted == 1 && ended.pending == 0 );
    CHECK( await( ENDED, 2 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK_CODE( CLOSED, socket_iocp_shutdown( port, 0, &ended ) );
    CHECK_CODE( CLOSED, socket_iocp_issue_recv( port, handle ) );
    socket_iocp_delete( port );
    forget_port( port );
    expect_reset( working[1] );
    close_socket( working[1] );
    forget_events();
}

static void *shut_down( void *ended )
{
    CHECK_OK( socket_iocp_shutdown( the_port, NEVER_MS, ended ) );
    return NULL;
}

/* The ends of the listen socket and of an idle connection tell that the shutdown is under way. */
static SOCKET shutting_down( pthread_t *thread, struct socket_iocp_ended *ended, SOCKET working[2], uint32_t closes_idle )
{
    struct socket_iocp_options options = default_options();
    struct sockaddr_in address;
    SOCKET idle[2];
    void *handle;

    options.shutdown_closes_idle = closes_idle;
    the_port = new_port_with( &options );
    CHECK_OK( socket_iocp_add_listen_socket( the_port, listen_on_loopback( &address ), 1, NULL ) );
    handle = add_pair( the_port, idle, NULL );
    add_pair( the_port, working, NULL );
    CHECK_OK( socket_iocp_issue_recv( the_port, handle ) );
    CHECK( pthread_create( thread, NULL, shut_down, ended ) == 0 );
    return idle[1];
}

static void cut_short( void )
{
    struct socket_iocp_ended ended = no_numbers(), so_far = no_numbers();
    SOCKET working[2], idle;
    pthread_t thread;

    idle = shutting_down( &thread, &ended, working, SOCKET_IOCP_SWITCH_ON );
    expect_end( idle );
    close_socket( idle );
    await( ENDED, 1 );
    /* Calls go on working meanwhile, and this one waits for nobody. */
    CHECK( socket_iocp_find_socket( the_port, working[0] ) != NULL );
    CHECK_OK( socket_iocp_shutdown( the_port, 0, &so_far ) );
    CHECK( so_far.finished + so_far.aborted + so_far.pending >= 2 );
    CHECK( pthread_join( thread, NULL ) == 0 );
    CHECK( ended.finished == 1 && ended.aborted == 1 && ended.pending == 0 );
    forget_port( the_port );
    close_socket( working[1] );
    forget_events();
}

static void deleted_meanwhile( void )
{
    struct socket_iocp_ended ended = no_numbers();
    SOCKET working[2], idle;
    pthread_t thread;

    idle = shutting_down( &thread, &ended, working, SOCKET_IOCP_SWITCH_DEFAULT );
    expect_end( idle );
    close_socket( idle );
    await( ENDED, 1 );
    socket_iocp_delete( the_port );
    CHECK( logged( ENDED ) == 2 );
    CHECK( pthread_join( thread, NULL ) == 0 );
    CHECK( ended.finished == 1 && ended.aborted == 1 && ended.pending == 0 );
    forget_port( the_port );
    close_socket( working[1] );
    forget_events();
}

static void idle_ones_stay( void )
{
    struct socket_iocp_ended ended = no_numbers();
    SOCKET working[2], idle;
    pthread_t thread;

    idle = shutting_down( &thread, &ended, working, SOCKET_IOCP_SWITCH_OFF );
    await( LISTEN_ENDED, 1 );
    write_all( idle, "x", 1 );
    await( RECEIVED, 1 );
    CHECK( logged( ENDED ) == 0 );
    CHECK_OK( socket_iocp_shutdown( the_port, 0, NULL ) );
    CHECK( pthread_join( thread, NULL ) == 0 );
    CHECK( ended.finished == 0 && ended.aborted == 2 );
    forget_port( the_port );
    close_socket( idle );
    close_socket( working[1] );
    forget_events();
}

static void begin_in_callback( struct event *event )
{
    struct socket_iocp_ended ended = no_numbers();
    (void)event;
    CHECK_OK( socket_iocp_shutdown( the_port, NEVER_MS, &ended ) );
    /* The idle one may have gone meanwhile. */
    CHECK( ended.aborted == 0 && ended.pending >= 1 && ended.finished + ended.pending == 2 );
}

static void inside_a_callback( void )
{
    struct socket_iocp_ended ended = no_numbers();
    SOCKET idle[2], working[2];
    void *handle, *sending;

    the_port = new_port();
    handle = add_pair( the_port, idle, NULL );
    sending = add_pair( the_port, working, NULL );
    CHECK_OK( socket_iocp_issue_recv( the_port, handle ) );
    test_hooks[SENT] = begin_in_callback;
    CHECK_OK( socket_iocp_issue_async_send( the_port, sending, (void *)"x", 1, NULL ) );
    expect_end( idle[1] );
    close_socket( idle[1] );
    await( ENDED, 1 );
    CHECK_OK( socket_iocp_close_socket( the_port, sending ) );
    close_socket( working[1] );
    await( ENDED, 2 );
    /* It ends by itself; who asks for it waits for that. */
    CHECK_OK( socket_iocp_shutdown( the_port, NEVER_MS, &ended ) );
    CHECK( ended.finished == 2 && ended.aborted == 0 && ended.pending == 0 );
    CHECK_CODE( CLOSED, socket_iocp_shutdown( the_port, 0, NULL ) );
    forget_port( the_port );
    forget_events();
}

int main( void )
{
    int open = begin_test();
    idle_and_left();
    cut_short();
    deleted_meanwhile();
    idle_ones_stay();
    inside_a_callback();
    CHECK( open_sockets() == open );
    return 0;
}
