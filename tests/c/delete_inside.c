/* A port deleted from inside each of its callbacks: the call returns at once, and every farewell still comes. */
#include "check.h"

static void *port, *deleted;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void delete_here( struct event *event )
{
    struct socket_iocp_completion completion;
    void *mine;
    /* Callbacks of several workers may come here; one deletes. */
    pthread_mutex_lock( &mutex );
    mine = port;
    port = NULL;
    pthread_mutex_unlock( &mutex );
    if( mine == NULL )
        return;
    socket_iocp_delete( mine );
    /* The callback goes on: it can still ask what it reports. An operation is refused, or reported by a farewell. */
    completion.size = sizeof completion;
    CHECK_OK( socket_iocp_result( mine, &completion ) );
    CHECK( completion.operation == event->completion.operation );
    if( completion.socket_iocp_socket_state != NULL )
    {
        int code = socket_iocp_issue_recv( mine, completion.socket_iocp_socket_state );
        CHECK( code == 0 || code == SOCKET_IOCP_E_CLOSED || code == SOCKET_IOCP_E_BUSY );
    }
    socket_iocp_delete( mine );
    deleted = mine;
}

static void issue_recv( struct event *event )
{
    socket_iocp_issue_recv( event->port, event->completion.socket_iocp_socket_state );
}

static void delete_in( enum kind kind )
{
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address ), client, ends[2];
    void *handle;

    port = new_port();
    handle = add_pair( port, ends, (void *)7 );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 4, NULL ) );
    test_hooks[ACCEPTED] = issue_recv;
    client = connect_to( &address );
    await( ACCEPTED, 1 );
    test_hooks[kind] = delete_here;

    switch( kind )
    {
    case ACCEPTED:
        close_socket( connect_to( &address ) );
        break;
    case RECEIVED:
        write_all( client, "x", 1 );
        break;
    case SENT:
        CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"x", 1, NULL ) );
        break;
    case ENDED:
        CHECK_OK( socket_iocp_abort_socket( port, handle ) );
        break;
    default:
        CHECK_OK( socket_iocp_remove_listen_socket( port, listener ) );
        break;
    }
    await( LISTEN_ENDED, 1 );
    await( ENDED, 1 );
    await( ENDED, 2 );
    if( kind == ACCEPTED )
        await( ENDED, 3 );
    CHECK( deleted != NULL );
    CHECK_CODE( CLOSED, socket_iocp_run( deleted, 0 ) );
    socket_iocp_delete( deleted );
    if( kind == LISTEN_ENDED )
        close_socket( listener );
    close_socket( client ), close_socket( ends[1] );
    CHECK( logged( LISTEN_ENDED ) == 1 && logged( ENDED ) == logged( ACCEPTED ) + 1 );
    memset( test_ports, 0, sizeof test_ports );
    deleted = NULL;
    forget_events();
}

int main( void )
{
    begin_test();
    delete_in( ACCEPTED );
    delete_in( RECEIVED );
    delete_in( SENT );
    delete_in( ENDED );
    delete_in( LISTEN_ENDED );
    return 0;
}
