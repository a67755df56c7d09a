/* What the chat and http examples share. (echo.c has its own, so that it is whole in one file.) */
#ifndef COMMON_H
#define COMMON_H

#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket_iocp.h"

/* A listening socket on "host:port", or -1. */
static inline int listen_on( const char *address )
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

/* Serves on this address until Ctrl-C, then deletes the port. Returns what main returns. `code` is what making it gave. */
static inline int serve_until_signal( const char *name, const char *address, void *port, int code )
{
    int listener = listen_on( address ), signal_number;
    sigset_t signals;

    if( listener == -1 )
    {
        fprintf( stderr, "%s: cannot listen on %s\n", name, address );
        return 2;
    }
    if( code == 0 )
        code = socket_iocp_add_listen_socket( port, listener, 64, NULL );
    if( code != 0 )
    {
        fprintf( stderr, "%s: %s\n", name, socket_iocp_strerror( code ) );
        return 1;
    }
    /* The port's own threads block all signals: Ctrl-C comes to this one. */
    sigemptyset( &signals );
    sigaddset( &signals, SIGINT );
    sigaddset( &signals, SIGTERM );
    sigprocmask( SIG_BLOCK, &signals, NULL );
    printf( "%s: listening on %s\n", name, address );
    fflush( stdout );
    sigwait( &signals, &signal_number );
    socket_iocp_delete( port );
    return 0;
}

#endif
