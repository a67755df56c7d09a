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
    int listener = listen_on_loopback( &address ), client;
    char byte;
    accepted_user_state = &address;
    test_hooks[ACCEPTED] = refuse;
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 1, NULL ) );
    client = connect_to( &address );
    CHECK( recv( client, &byte, 1, 0 ) == -1 && errno == ECONNRESET );
    CHECK( await( ENDED, 1 ).user == &address );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    close( client );
    CHECK_OK( socket_iocp_remove_listen_socket( port, listener ) );
    await( LISTEN_ENDED, 1 );
    close( listener );
    forget_events();
}

static void changed_backlog( void )
{
    enum { CLIENTS = 30 };
    struct sockaddr_in address;
    int listener = listen_on_loopback( &address ), clients[CLIENTS], index;
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
    close( listener );
    for( index = 1; index <= CLIENTS; index++ )
        CHECK_OK( socket_iocp_abort_socket( port, socket_iocp_find_socket( port, await( ACCEPTED, (size_t)index ).socket ) ) );
    await( ENDED, CLIENTS );
    CHECK( logged( ACCEPTED ) == CLIENTS );
    for( index = 0; index < CLIENTS; index++ )
        close( clients[index] );
    forget_events();
}

/* A listen socket that was removed still listens, for whoever accepts next. */
static void removed( void )
{
    struct sockaddr_in address;
    int listener = listen_on_loopback( &address ), client, connection, flags;
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
    close( client );

    client = connect_to( &address );
    flags = fcntl( listener, F_GETFL );
    CHECK( flags != -1 && fcntl( listener, F_SETFL, flags & ~O_NONBLOCK ) == 0 );
    connection = accept( listener, NULL, NULL );
    CHECK( connection != -1 );
    CHECK( logged( ACCEPTED ) == 1 );
    close( connection ), close( client );
    forget_events();

    /* And it may come back. */
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 1, NULL ) );
    client = connect_to( &address );
    CHECK_OK( socket_iocp_abort_socket( port, socket_iocp_find_socket( port, await( ACCEPTED, 1 ).socket ) ) );
    await( ENDED, 1 );
    close( client );
}

int main( void )
{
    int descriptors = open_descriptors();
    begin_test();
    port = new_port();
    refused_connections();
    changed_backlog();
    removed();
    delete_port( port );
    CHECK( logged( LISTEN_ENDED ) == 1 );
    CHECK( await( LISTEN_ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    CHECK( open_descriptors() == descriptors );
    return 0;
}
