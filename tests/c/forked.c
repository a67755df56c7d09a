/* A forked child: every call is E_CLOSED there and delete does nothing; the parent goes on. */
#include <sys/wait.h>

#include "check.h"

static void *port, *handle, *kept;
static int hook_forked;

static void expect_closed( void )
{
    struct socket_iocp_completion completion;
    struct socket_iocp_counters counters;
    void *own = NULL;
    int ends[2];

    completion.size = sizeof completion;
    counters.size = sizeof counters;
    CHECK( socketpair( AF_UNIX, SOCK_STREAM, 0, ends ) == 0 );
    CHECK_CODE( CLOSED, socket_iocp_add_connected_socket( port, ends[0], NULL ) );
    CHECK_CODE( CLOSED, socket_iocp_issue_recv( port, handle ) );
    CHECK_CODE( CLOSED, socket_iocp_issue_sync_send( port, handle, (void *)"x", 1, NULL ) );
    CHECK_CODE( CLOSED, socket_iocp_issue_async_send( port, handle, (void *)"x", 1, NULL ) );
    CHECK_CODE( CLOSED, socket_iocp_abort_socket( port, handle ) );
    CHECK_CODE( CLOSED, socket_iocp_result( port, &completion ) );
    CHECK_CODE( CLOSED, socket_iocp_statistics( port, &counters ) );
    CHECK_CODE( CLOSED, socket_iocp_release_buffer( kept ) );
    CHECK( socket_iocp_find_socket( port, ends[0] ) == NULL );
    CHECK_CODE( CLOSED, socket_iocp_new( &own, 64, accepted, received, sent, ended ) );
    CHECK( own == NULL );
    CHECK( strcmp( socket_iocp_strerror( 0 ), "success" ) == 0 );
    socket_iocp_delete( port );
    CHECK_CODE( CLOSED, socket_iocp_statistics( port, &counters ) );
    close( ends[0] ), close( ends[1] );
}

static void wait_for_child( pid_t child )
{
    int status;
    CHECK( child != -1 && waitpid( child, &status, 0 ) == child );
    CHECK( WIFEXITED( status ) && WEXITSTATUS( status ) == 0 );
}

static void fork_here( struct event *event )
{
    pid_t child;
    if( event->byte_count != 1 )
        return;
    child = fork();
    if( child == 0 )
    {
        alarm( ALARM_SECONDS );
        expect_closed();
        _exit( 0 );
    }
    wait_for_child( child );
    hook_forked = 1;
}

static void take_it( struct event *event )
{
    CHECK_OK( socket_iocp_take_buffer( port, event->completion.socket_iocp_socket_state, &kept ) );
}

int main( void )
{
    int ends[2];
    pid_t child;
    begin_test();
    port = new_port();
    handle = add_pair( port, ends, NULL );
    test_hooks[RECEIVED] = take_it;
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "to be kept", 10 );
    await( RECEIVED, 1 );

    child = fork();
    if( child == 0 )
    {
        alarm( ALARM_SECONDS );
        expect_closed();
        _exit( 0 );
    }
    wait_for_child( child );

    /* From inside a callback as well, and the parent's port goes on. */
    test_hooks[RECEIVED] = fork_here;
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "f", 1 );
    await( RECEIVED, 2 );
    CHECK( hook_forked );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "on", 2 );
    CHECK( await( RECEIVED, 3 ).byte_count == 2 );
    CHECK( memcmp( kept, "to be kept", 10 ) == 0 );
    CHECK_OK( socket_iocp_release_buffer( kept ) );
    delete_port( port );
    close( ends[1] );
    return 0;
}
