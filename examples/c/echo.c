/*
 * echo ADDRESS:PORT - sends back whatever comes.
 *
 * Nothing is copied: the read buffer is sent back from where it lies, and the next recv is issued when that send has
 * completed. A socket's user state is its handle, so that no callback has to look for it.
 */
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket_iocp.h"

static void *port;

static void accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    (void)local, (void)remote, (void)listener;
    *user = socket_iocp_find_socket( port, socket );
    socket_iocp_issue_recv( port, *user );
}

static void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    (void)socket;
    if( byte_count == 0 )
        socket_iocp_close_socket( port, user );
    else
        socket_iocp_issue_sync_send( port, user, read_buffer, byte_count, NULL );
}

/* If the send has failed, the socket is ending: this recv is refused and the farewell follows. */
static void sent( SOCKET socket, void *user, void *write )
{
    (void)socket, (void)write;
    socket_iocp_issue_recv( port, user );
}

static void ended( SOCKET socket, void *user )
{
    (void)socket, (void)user;
}

/* A listening socket on "host:port", or -1. */
static int listen_on( const char *address )
{
    char host[256];
    const char *colon = strrchr( address, ':' );
    struct addrinfo hints, *found;
    int listener, on = 1;

    if( colon == NULL || (size_t)( colon - address ) >= sizeof host )
        return -1;
    memcpy( host, address, (size_t)( colon - address ) );
    host[colon - address] = 0;
    memset( &hints, 0, sizeof hints );
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    if( getaddrinfo( host[0] == 0 ? NULL : host, colon + 1, &hints, &found ) != 0 )
        return -1;
    listener = socket( found->ai_family, SOCK_STREAM, 0 );
    if( listener != -1 )
    {
        setsockopt( listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on );
        if( bind( listener, found->ai_addr, found->ai_addrlen ) != 0 || listen( listener, SOMAXCONN ) != 0 )
        {
            close( listener );
            listener = -1;
        }
    }
    freeaddrinfo( found );
    return listener;
}

int main( int argc, char **argv )
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
    int listener = listen_on( address ), code, signal_number;
    sigset_t signals;

    if( listener == -1 )
    {
        fprintf( stderr, "echo: cannot listen on %s\n", address );
        return 2;
    }
    /* The port's own threads block all signals: Ctrl-C comes to this one. */
    sigemptyset( &signals );
    sigaddset( &signals, SIGINT );
    sigaddset( &signals, SIGTERM );
    sigprocmask( SIG_BLOCK, &signals, NULL );

    code = socket_iocp_new( &port, 16384, accepted, received, sent, ended );
    if( code == 0 )
        code = socket_iocp_add_listen_socket( port, listener, 64, NULL );
    if( code != 0 )
    {
        fprintf( stderr, "echo: %s\n", socket_iocp_strerror( code ) );
        return 1;
    }
    printf( "echo: listening on %s\n", address );
    fflush( stdout );
    sigwait( &signals, &signal_number );
    socket_iocp_delete( port );
    return 0;
}
