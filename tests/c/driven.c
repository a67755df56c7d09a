/* A port without threads: run, the pollable descriptor where there is one, who may run it and when, deadlines, delete. */
#include "check.h"

static void *port, *inner;
static int inner_codes[6], inner_received;

static void *new_driven( uint32_t linger_ms )
{
    struct socket_iocp_options options = default_options();
    options.threads = SOCKET_IOCP_THREADS_NONE;
    options.linger_ms = linger_ms;
    return new_port_with( &options );
}

/* Runs the port until there is an event of this kind with this number: as an event loop does, where a port can be polled. */
static void drive_until( void *driven, enum kind kind, size_t number )
{
    int descriptor = -1;
    int code = socket_iocp_pollable( driven, &descriptor );
    CHECK( code == CODE_OF_POLLABLE && ( descriptor == -1 ) == ( code != 0 ) );
    CHECK_OK( socket_iocp_run( driven, 0 ) );
    while( logged( kind ) < number )
    {
        if( code == 0 )
            CHECK( wait_readable( descriptor ) );
        CHECK_OK( socket_iocp_run( driven, code == 0 ? 0 : -1 ) );
    }
}

static void an_event_loop( void )
{
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address ), client;
    void *handle;
    struct event event;

    port = new_driven( 0 );
    CHECK_OK( socket_iocp_run( port, 0 ) );
    CHECK_OK( socket_iocp_run( port, 1 ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_run( port, -2 ) );
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 2, NULL ) );
    client = connect_to( &address );
    drive_until( port, ACCEPTED, 1 );
    handle = socket_iocp_find_socket( port, await( ACCEPTED, 1 ).socket );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( client, "ping", 4 );
    drive_until( port, RECEIVED, 1 );
    event = await( RECEIVED, 1 );
    CHECK( event.byte_count == 4 );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, event.data, 4, NULL ) );
    drive_until( port, SENT, 1 );
    expect_bytes( client, "ping" );
    close_socket( client );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    drive_until( port, ENDED, 1 );
    delete_port( port );
    CHECK( logged( LISTEN_ENDED ) == 1 );
    forget_events();
}

/* A deadline shows on the pollable descriptor as well. */
static void deadlines( void )
{
    SOCKET ends[2];
    void *handle;
    port = new_driven( 20 );
    handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    drive_until( port, ENDED, 1 );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_TIMED_OUT );
    delete_port( port );
    close_socket( ends[1] );
    forget_events();
}

static void run_inside( struct event *event )
{
    struct socket_iocp_completion completion;
    completion.size = sizeof completion;
    if( event->port == port )
    {
        inner_codes[0] = socket_iocp_run( port, 0 );
        do
            inner_codes[1] = socket_iocp_run( inner, -1 );
        while( inner_codes[1] == 0 && !inner_received );
        inner_codes[2] = socket_iocp_result( inner, &completion );
        inner_codes[3] = socket_iocp_result( port, &completion );
        CHECK( completion.operation == SOCKET_IOCP_OPERATION_RECV );
    }
    else
    {
        CHECK( event->port == inner );
        inner_received = 1;
        inner_codes[4] = socket_iocp_result( port, &completion );
        inner_codes[5] = socket_iocp_run( port, 0 );
    }
}

/* A callback may run another port, not its own; each callback's result is its own. */
static void nested( void )
{
    SOCKET outer_ends[2], inner_ends[2];
    void *outer_handle, *inner_handle;
    port = new_driven( 0 );
    inner = new_driven( 0 );
    outer_handle = add_pair( port, outer_ends, NULL );
    inner_handle = add_pair( inner, inner_ends, NULL );
    test_hooks[RECEIVED] = run_inside;
    CHECK_OK( socket_iocp_issue_recv( port, outer_handle ) );
    CHECK_OK( socket_iocp_issue_recv( inner, inner_handle ) );
    write_all( inner_ends[1], "i", 1 );
    write_all( outer_ends[1], "o", 1 );
    drive_until( port, RECEIVED, 2 );
    CHECK_OK( inner_codes[1] );
    CHECK( inner_codes[0] == SOCKET_IOCP_E_BUSY );
    CHECK( inner_codes[2] == SOCKET_IOCP_E_WRONG_CONTEXT );
    CHECK_OK( inner_codes[3] );
    CHECK( inner_codes[4] == SOCKET_IOCP_E_WRONG_CONTEXT );
    CHECK( inner_codes[5] == SOCKET_IOCP_E_BUSY );
    delete_port( inner );
    delete_port( port );
    close_socket( outer_ends[1] ), close_socket( inner_ends[1] );
    forget_events();
}

static int code_of_second;

static void *run_once( void *argument )
{
    (void)argument;
    code_of_second = socket_iocp_run( port, 0 );
    return NULL;
}

static void let_another_thread_try( struct event *event )
{
    pthread_t second;
    (void)event;
    CHECK( pthread_create( &second, NULL, run_once, NULL ) == 0 );
    CHECK( pthread_join( second, NULL ) == 0 );
}

static void one_at_a_time( void )
{
    pthread_t second;
    SOCKET ends[2];
    void *handle;
    port = new_driven( 0 );
    handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "x", 1 );
    test_hooks[RECEIVED] = let_another_thread_try;
    drive_until( port, RECEIVED, 1 );
    CHECK( code_of_second == SOCKET_IOCP_E_BUSY );
    CHECK( pthread_create( &second, NULL, run_once, NULL ) == 0 );
    CHECK( pthread_join( second, NULL ) == 0 );
    CHECK_OK( code_of_second );
    delete_port( port );
    close_socket( ends[1] );
    forget_events();
}

static void *run_for_ever( void *argument )
{
    (void)argument;
    do
        code_of_second = socket_iocp_run( port, -1 );
    while( code_of_second == 0 );
    return NULL;
}

/* Delete from another thread stops a run in progress and does the rest itself. */
static void deleted_while_running( void )
{
    pthread_t runner;
    SOCKET ends[2];
    port = new_driven( 0 );
    CHECK( pthread_create( &runner, NULL, run_for_ever, NULL ) == 0 );
    CHECK_OK( socket_iocp_issue_recv( port, add_pair( port, ends, NULL ) ) );
    write_all( ends[1], "x", 1 );
    await( RECEIVED, 1 );
    delete_port( port );
    CHECK( logged( ENDED ) == 1 );
    CHECK( pthread_join( runner, NULL ) == 0 );
    CHECK( code_of_second == SOCKET_IOCP_E_CLOSED );
    close_socket( ends[1] );
    forget_events();
}

static void delete_here( struct event *event )
{
    (void)event;
    socket_iocp_delete( port );
}

static void deleted_in_its_own_callback( void )
{
    SOCKET ends[2];
    int code;
    void *handle;
    port = new_driven( 0 );
    handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "x", 1 );
    test_hooks[RECEIVED] = delete_here;
    do
        code = socket_iocp_run( port, -1 );
    while( code == 0 );
    CHECK( code == SOCKET_IOCP_E_CLOSED );
    CHECK( logged( RECEIVED ) == 1 && logged( ENDED ) == 1 );
    forget_port( port );
    close_socket( ends[1] );
    forget_events();
}

static void a_port_with_threads( void )
{
    int descriptor = -1;
    port = new_port();
    CHECK_CODE( WRONG_CONTEXT, socket_iocp_run( port, 0 ) );
    CHECK_CODE( WRONG_CONTEXT, socket_iocp_pollable( port, &descriptor ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_pollable( port, NULL ) );
    CHECK( descriptor == -1 );
    delete_port( port );
}

int main( void )
{
    int sockets = begin_test();
    an_event_loop();
    deadlines();
    nested();
    one_at_a_time();
    deleted_while_running();
    deleted_in_its_own_callback();
    a_port_with_threads();
    CHECK( open_sockets() == sockets );
    return 0;
}
