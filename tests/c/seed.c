/*
 * The seven calls as their first description prints them: this file compiles against them unchanged, as C and as C++.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "socket_iocp.h"

#ifdef _WIN32
#include <ws2tcpip.h>
#else
#include <netinet/in.h>
#include <unistd.h>
#define closesocket close
#endif

typedef int (*new_function)( void **socket_iocp_state, size_t 
read_buffer_size, void (*accept_callback_function)(SOCKET socket, struct 
sockaddr *local_address, struct sockaddr *remote_address, void 
*listen_socket_user_state, void **per_socket_user_state), void 
(*recv_callback_function)(SOCKET socket, void *read_buffer, DWORD 
byte_count, void *per_socket_user_state), void 
(*send_callback_function)( SOCKET socket, void *per_socket_user_state, 
void *per_write_user_state ), void (*error_callback_function)(SOCKET 
socket, void *per_socket_user_state) );

typedef void (*delete_function)( void *socket_iocp_state );

typedef int (*add_listen_socket_function)( void *socket_iocp_state, SOCKET 
socket, size_t accept_socket_backlog, void *listen_user_state );

typedef int (*add_connected_socket_function)( void *socket_iocp_state, SOCKET 
socket, void *per_socket_user_state );

typedef int (*issue_recv_function)( void *socket_iocp_state, void 
*socket_iocp_socket_state );

typedef int (*issue_sync_send_function)( void *socket_iocp_state, void 
*socket_iocp_socket_state, void *write_buffer, DWORD 
number_bytes_to_write, void *per_write_user_state );

typedef int (*issue_async_send_function)( void *socket_iocp_state, void 
*socket_iocp_socket_state, void *write_buffer, DWORD 
number_bytes_to_write, void *per_write_user_state );

static const new_function call_new = socket_iocp_new;
static const delete_function call_delete = socket_iocp_delete;
static const add_listen_socket_function call_add_listen_socket = socket_iocp_add_listen_socket;
static const add_connected_socket_function call_add_connected_socket = socket_iocp_add_connected_socket;
static const issue_recv_function call_issue_recv = socket_iocp_issue_recv;
static const issue_sync_send_function call_issue_sync_send = socket_iocp_issue_sync_send;
static const issue_async_send_function call_issue_async_send = socket_iocp_issue_async_send;

/* The names of the parameters are nobody else's. */
static int socket_iocp_state, read_buffer_size, accept_callback_function, recv_callback_function, send_callback_function,
    error_callback_function, local_address, remote_address, listen_socket_user_state, per_socket_user_state, read_buffer,
    byte_count, per_write_user_state, accept_socket_backlog, listen_user_state, socket_iocp_socket_state, write_buffer,
    number_bytes_to_write;

static int farewells;

static void accepted( SOCKET accepted_socket, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    (void)accepted_socket, (void)local, (void)remote, (void)listener, (void)user;
}

static void received( SOCKET from, void *buffer, DWORD count, void *user )
{
    (void)from, (void)buffer, (void)count, (void)user;
}

static void sent( SOCKET to, void *user, void *write )
{
    (void)to, (void)user, (void)write;
}

static void ended( SOCKET ended_socket, void *user )
{
    (void)ended_socket;
    ++*(int *)user;
}

static void check( int condition, const char *what )
{
    if( condition )
        return;
    fprintf( stderr, "seed: failed: %s\n", what );
    abort();
}

static void check_open( SOCKET made )
{
    check( made != INVALID_SOCKET, "a socket" );
}

/* Two ends of a connection over the loopback address. */
static void make_pair( SOCKET ends[2] )
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    SOCKET listener = socket( AF_INET, SOCK_STREAM, 0 );
    check_open( listener );
    memset( &address, 0, sizeof address );
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl( INADDR_LOOPBACK );
    check( bind( listener, (struct sockaddr *)&address, sizeof address ) != SOCKET_ERROR, "bind" );
    check( getsockname( listener, (struct sockaddr *)&address, &size ) != SOCKET_ERROR, "getsockname" );
    check( listen( listener, 1 ) != SOCKET_ERROR, "listen" );
    check_open( ends[1] = socket( AF_INET, SOCK_STREAM, 0 ) );
    check( connect( ends[1], (struct sockaddr *)&address, sizeof address ) != SOCKET_ERROR, "connect" );
    check_open( ends[0] = accept( listener, NULL, NULL ) );
    closesocket( listener );
}

int main( void )
{
    void *port = NULL;
    SOCKET ends[2];
    DWORD nothing = 0;

    (void)socket_iocp_state, (void)read_buffer_size, (void)accept_callback_function, (void)recv_callback_function;
    (void)send_callback_function, (void)error_callback_function, (void)local_address, (void)remote_address;
    (void)listen_socket_user_state, (void)per_socket_user_state, (void)read_buffer, (void)byte_count;
    (void)per_write_user_state, (void)accept_socket_backlog, (void)listen_user_state, (void)socket_iocp_socket_state;
    (void)write_buffer, (void)number_bytes_to_write;

    /* The first port starts Winsock, too. */
    check( call_new( &port, 4096, accepted, received, sent, ended ) == 0, "new" );
    make_pair( ends );
    check( call_add_listen_socket( port, INVALID_SOCKET, 1, NULL ) < 0, "add_listen_socket" );
    check( call_add_connected_socket( port, ends[0], &farewells ) == 0, "add_connected_socket" );
    check( call_issue_recv( port, NULL ) < 0, "issue_recv" );
    check( call_issue_sync_send( port, NULL, NULL, nothing, NULL ) < 0, "issue_sync_send" );
    check( call_issue_async_send( port, NULL, NULL, nothing, NULL ) < 0, "issue_async_send" );
    call_delete( port );
    check( farewells == 1, "one farewell by the time that delete returns" );
    closesocket( ends[1] );
    return 0;
}
