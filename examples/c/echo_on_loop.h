/* What libevent_loop.c and libuv_loop.c share: an echo server whose port has no threads, and knows of no loop. */
#ifndef ECHO_ON_LOOP_H
#define ECHO_ON_LOOP_H

#include "common.h"

enum { TICK_MS = 100 };

static void *port;
static const char *name, *address, *own_address;
/* Needs no lock: the loop and the port's callbacks share one thread. */
static unsigned ticks;

static void accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    (void)local, (void)remote, (void)listener, (void)user;
    socket_iocp_issue_recv( port, socket_iocp_find_socket( port, socket ) );
}

static void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    void *handle = socket_iocp_find_socket( port, socket );

    (void)user;
    if( byte_count == 0 )
        socket_iocp_close_socket( port, handle );
    else
        socket_iocp_issue_sync_send( port, handle, read_buffer, byte_count, NULL );
}

static void sent( SOCKET socket, void *user, void *write )
{
    (void)user, (void)write;
    socket_iocp_issue_recv( port, socket_iocp_find_socket( port, socket ) );
}

static void ended( SOCKET socket, void *user )
{
    (void)socket, (void)user;
}

/* Runs what is due and waits for nothing: called whenever the loop finds the port's descriptor readable. */
static int run_port( void )
{
    int code = socket_iocp_run( port, 0 );

    if( code != 0 )
        fprintf( stderr, "%s: %s\n", name, socket_iocp_strerror( code ) );
    return code == 0;
}

/* A connection of the loop's own. Calls made outside socket_iocp_run() are shown by the descriptor like everything else. */
static void greet_and_hand_over( int connection )
{
    char greeting[64];
    int length = snprintf( greeting, sizeof greeting, "%u ticks\n", ticks );

    /* Nothing was sent before, so there is room for it. Once the port has the socket, it is the port's alone. */
    if( send( connection, greeting, (size_t)length, MSG_NOSIGNAL ) != length ||
        socket_iocp_add_connected_socket( port, connection, NULL ) != 0 )
        close( connection );
    else
        socket_iocp_issue_recv( port, socket_iocp_find_socket( port, connection ) );
}

/* Makes the port with its listening socket, and stores its descriptor and the listening socket that is the loop's own. */
static int start( const char *program, int argc, char **argv, int *descriptor, int *own_listener )
{
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    SOCKET listener;
    int code;

    name = program;
    address = argc > 1 ? argv[1] : "127.0.0.1:7000";
    own_address = argc > 2 ? argv[2] : "127.0.0.1:7001";
    options.threads = SOCKET_IOCP_THREADS_NONE;
    listener = listen_on( address );
    *own_listener = listen_on( own_address );
    if( listener == INVALID_SOCKET || *own_listener == INVALID_SOCKET )
    {
        fprintf( stderr, "%s: cannot listen on %s\n", name, listener == INVALID_SOCKET ? address : own_address );
        return 0;
    }
    code = socket_iocp_new_with_options( &port, 16384, accepted, received, sent, ended, &options );
    if( code == 0 )
        code = socket_iocp_add_listen_socket( port, listener, 64, NULL );
    if( code == 0 )
        code = socket_iocp_pollable( port, descriptor );
    if( code != 0 )
        fprintf( stderr, "%s: %s\n", name, socket_iocp_strerror( code ) );
    return code == 0;
}

static void say_listening( void )
{
    printf( "%s: listening on %s, and itself on %s\n", name, address, own_address );
    fflush( stdout );
}

#endif
