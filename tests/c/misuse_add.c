/* Sockets that cannot be added: each has its error, and stays the caller's, open. */
#include "check.h"

static void *port;

#define ADD_LISTEN( socket ) socket_iocp_add_listen_socket( port, socket, 8, NULL )
#define ADD_CONNECTED( socket ) socket_iocp_add_connected_socket( port, socket, NULL )

static void no_descriptors( void )
{
    SOCKET closed = socket( AF_INET, SOCK_STREAM, 0 );
    close_socket( closed );
    CHECK_CODE( BAD_SOCKET, ADD_LISTEN( INVALID_SOCKET ) );
    CHECK_CODE( BAD_SOCKET, ADD_CONNECTED( INVALID_SOCKET ) );
    CHECK_CODE( BAD_SOCKET, ADD_LISTEN( (SOCKET)-12345 ) );
    CHECK_CODE( BAD_SOCKET, ADD_CONNECTED( (SOCKET)-12345 ) );
    set_last_error( 0 );
    CHECK_CODE( BAD_SOCKET, ADD_LISTEN( closed ) );
    CHECK( last_error() == NOT_A_SOCKET );
    set_last_error( 0 );
    CHECK_CODE( BAD_SOCKET, ADD_CONNECTED( closed ) );
    CHECK( last_error() == NOT_A_SOCKET );
    CHECK_CODE( BAD_SOCKET, ADD_CONNECTED( 0x7fffffff ) );
    CHECK( socket_iocp_find_socket( port, closed ) == NULL );
    CHECK( socket_iocp_find_socket( port, INVALID_SOCKET ) == NULL );
    CHECK( socket_iocp_find_socket( port, 0x7fffffff ) == NULL );
}

static void no_sockets( void )
{
    SOCKET ends[2], file = open_file();
    CHECK( file != INVALID_SOCKET && open_pipe( ends ) );
    CHECK_CODE( NOT_SOCKET, ADD_LISTEN( file ) );
    CHECK_CODE( NOT_SOCKET, ADD_CONNECTED( file ) );
    CHECK_CODE( NOT_SOCKET, ADD_CONNECTED( ends[0] ) );
    CHECK( is_open( file ) && is_open( ends[0] ) );
    close_file( file ), close_file( ends[0] ), close_file( ends[1] );
}

static void no_streams( void )
{
    SOCKET datagram = socket( AF_INET, SOCK_DGRAM, 0 );
    CHECK( datagram != INVALID_SOCKET );
    CHECK_CODE( NOT_STREAM, ADD_LISTEN( datagram ) );
    CHECK_CODE( NOT_STREAM, ADD_CONNECTED( datagram ) );
    CHECK( is_open( datagram ) );
    close_socket( datagram );
}

static void in_the_wrong_state( void )
{
    struct sockaddr_in address;
    SOCKET ends[2], listener = listen_on_loopback( &address ), fresh = socket( AF_INET, SOCK_STREAM, 0 );
    tcp_pair( ends );
    CHECK_CODE( LISTENING, ADD_CONNECTED( listener ) );
    CHECK_CODE( NOT_LISTENING, ADD_LISTEN( ends[0] ) );
    CHECK_CODE( NOT_LISTENING, ADD_LISTEN( fresh ) );
    CHECK_CODE( NOT_CONNECTED, ADD_CONNECTED( fresh ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_add_listen_socket( port, listener, 0, NULL ) );
    CHECK( is_open( listener ) && is_open( ends[0] ) && is_open( fresh ) );
    CHECK( socket_iocp_find_socket( port, ends[0] ) == NULL );
    close_socket( listener ), close_socket( fresh ), close_socket( ends[0] ), close_socket( ends[1] );
}

static void added_before( void )
{
    struct sockaddr_in address;
    SOCKET ends[2], listener = listen_on_loopback( &address );
    void *other = new_port(), *handle = add_pair( port, ends, NULL );

    CHECK_CODE( ALREADY_ADDED, ADD_CONNECTED( ends[0] ) );
    CHECK_CODE( ALREADY_ADDED, socket_iocp_add_connected_socket( other, ends[0], NULL ) );
    CHECK( socket_iocp_find_socket( port, ends[0] ) == handle );
    CHECK( socket_iocp_find_socket( other, ends[0] ) == NULL );

    CHECK_CODE( NOT_ADDED, socket_iocp_remove_listen_socket( port, listener ) );
    CHECK_CODE( NOT_ADDED, socket_iocp_set_accept_backlog( port, listener, 1 ) );
    CHECK_OK( ADD_LISTEN( listener ) );
    CHECK_CODE( ALREADY_ADDED, ADD_LISTEN( listener ) );
    CHECK_CODE( ALREADY_ADDED, socket_iocp_add_listen_socket( other, listener, 8, NULL ) );
    CHECK_CODE( NOT_ADDED, socket_iocp_remove_listen_socket( other, listener ) );
    CHECK_CODE( NOT_ADDED, socket_iocp_remove_listen_socket( port, ends[0] ) );
    CHECK_CODE( NOT_ADDED, socket_iocp_remove_listen_socket( port, INVALID_SOCKET ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_set_accept_backlog( port, listener, 0 ) );
    CHECK( socket_iocp_find_socket( port, listener ) == NULL );

    delete_port( other );
    CHECK( is_open( ends[0] ) && is_open( listener ) );
    close_socket( ends[1] );
}

static void above_the_limit( void )
{
    struct socket_iocp_options options = default_options();
    SOCKET first[2], second[2];
    void *limited;
    options.max_sockets = 1;
    limited = new_port_with( &options );
    add_pair( limited, first, NULL );
    tcp_pair( second );
    CHECK_CODE( LIMIT, socket_iocp_add_connected_socket( limited, second[0], NULL ) );
    CHECK( is_open( second[0] ) );
    delete_port( limited );
    close_socket( first[1] ), close_socket( second[0] ), close_socket( second[1] );
}

int main( void )
{
    int sockets = begin_test();
    port = new_port();
    no_descriptors();
    no_sockets();
    no_streams();
    in_the_wrong_state();
    CHECK( logged( ENDED ) == 0 );
    added_before();
    above_the_limit();
    delete_port( port );
    CHECK( open_sockets() == sockets );
    return 0;
}
