/* Listen sockets: refused connections, a changed backlog, a removal that hands the socket back, the farewell. */
#include "check.h"

static void *port;

static void refuse( struct event *event )
{
    CHECK_OK( socket_iocp_abort_socket( port, event->completion.socket_iocp_socket_state ) );
}

static void refused_connections( void )
{
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address ), client;
    accepted_user_state = &address;
    test_hooks[ACCEPTED] = refuse;
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 1, NULL ) );
    client = connect_to( &address );
    expect_reset( client );
    CHECK( await( ENDED, 1 ).user == &address );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    close_socket( client );
    CHECK_OK( socket_iocp_remove_listen_socket( port, listener ) );
    await( LISTEN_ENDED, 1 );
    close_socket( listener );
    forget_events();
}

static void changed_backlog( void )
{
    enum { CLIENTS = 30 };
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address ), clients[CLIENTS];
    int index;
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 1, NULL ) );
    for( index = 0; index < CLIENTS; index++ )
    {
        CHECK_OK( socket_iocp_set_accept_backlog( port, listener, 1 + (size_t)( index % 5 ) * 10 ) );
        clients[index] = connect_to( &address );
    }
    await( ACCEPTED, CLIENTS );
    CHECK_OK( socket_iocp_remove_listen_socket( port, listener ) );
    CHECK_OK( await( LISTEN_ENDED, 1 ).completion.status );
    CHECK_CODE( NOT_ADDED, socket_iocp_set_accept_backlog( port, listener, 1 ) );
    close_socket( listener );
    for( index = 1; index <= CLIENTS; index++ )
        CHECK_OK( socket_iocp_abort_socket( port, socket_iocp_find_socket( port, await( ACCEPTED, (size_t)index ).socket ) ) );
    await( ENDED, CLIENTS );
    CHECK( logged( ACCEPTED ) == CLIENTS );
    for( index = 0; index < CLIENTS; index++ )
        close_socket( clients[index] );
    forget_events();
}

/* A listen socket that was removed may be added again. */
static void comes_back( SOCKET listener, const struct sockaddr_in *address )
{
    SOCKET client;
    if( !sockets_come_back() )
    {
        CHECK_CODE( UNSUPPORTED, socket_iocp_add_listen_socket( port, listener, 1, NULL ) );
        close_socket( listener );
        return;
    }
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 1, NULL ) );
    client = connect_to( address );
    CHECK_OK( socket_iocp_abort_socket( port, socket_iocp_find_socket( port, await( ACCEPTED, 1 ).socket ) ) );
    await( ENDED, 1 );
    CHECK_OK( socket_iocp_remove_listen_socket( port, listener ) );
    await( LISTEN_ENDED, 1 );
    close_socket( client ), close_socket( listener );
    forget_events();
}

/* A listen socket that was removed still listens, for whoever accepts next. */
static void removed( void )
{
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address ), client, connection;
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 4, &address ) );
    client = connect_to( &address );
    await( ACCEPTED, 1 );
    CHECK_OK( socket_iocp_remove_listen_socket( port, listener ) );
    CHECK( await( LISTEN_ENDED, 1 ).user == &address );
    CHECK( await( LISTEN_ENDED, 1 ).socket == listener );
    CHECK_CODE( NOT_ADDED, socket_iocp_remove_listen_socket( port, listener ) );
    CHECK( is_open( listener ) );
    CHECK_OK( socket_iocp_abort_socket( port, socket_iocp_find_socket( port, await( ACCEPTED, 1 ).socket ) ) );
    await( ENDED, 1 );
    close_socket( client );

    client = connect_to( &address );
    CHECK( make_blocking( listener ) );
    connection = accept( listener, NULL, NULL );
    CHECK( connection != INVALID_SOCKET );
    CHECK( logged( ACCEPTED ) == 1 );
    close_socket( connection ), close_socket( client );
    forget_events();
    comes_back( listener, &address );
}

static void ended_with_its_port( void )
{
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address );
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 4, &address ) );
    delete_port( port );
    CHECK( logged( LISTEN_ENDED ) == 1 );
    CHECK( await( LISTEN_ENDED, 1 ).user == &address );
    CHECK( await( LISTEN_ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK( !is_open( listener ) );
}

int main( void )
{
    int sockets = begin_test();
    port = new_port();
    refused_connections();
    changed_backlog();
    removed();
    ended_with_its_port();
    CHECK( open_sockets() == sockets );
    return 0;
}
