/*
 * echo ADDRESS:PORT - sends back whatever comes.
 *
 * Nothing is copied: the read buffer is sent back from where it lies, and the next recv is issued when that send has
 * completed. A socket's user state is its handle, so that no callback has to look for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "socket_iocp.h"

#ifdef _WIN32
#include <ws2tcpip.h>
#else
#include <netdb.h>
#include <signal.h>
#include <unistd.h>
#endif

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

/* What systems do in their own ways: waiting for Ctrl-C, and an address that was in use. */
#ifdef _WIN32

static HANDLE interrupted;

static BOOL WINAPI interrupt( DWORD kind )
{
    (void)kind;
    return SetEvent( interrupted );
}

static void catch_interrupts( void )
{
    interrupted = CreateEvent( NULL, TRUE, FALSE, NULL );
    SetConsoleCtrlHandler( interrupt, TRUE );
}

static void wait_for_interrupt( void )
{
    WaitForSingleObject( interrupted, INFINITE );
}

/* SO_REUSEADDR would share the address with strangers. */
enum { ADDRESS_OPTION = SO_EXCLUSIVEADDRUSE };

#else

static sigset_t interrupts;

/* The port's own threads block all signals: Ctrl-C comes to this one. */
static void catch_interrupts( void )
{
    sigemptyset( &interrupts );
    sigaddset( &interrupts, SIGINT );
    sigaddset( &interrupts, SIGTERM );
    sigprocmask( SIG_BLOCK, &interrupts, NULL );
}

static void wait_for_interrupt( void )
{
    int number;
    sigwait( &interrupts, &number );
}

/* Connections of an earlier run may linger. */
enum { ADDRESS_OPTION = SO_REUSEADDR };

#endif

/* A listening socket on "host:port", or INVALID_SOCKET. When it fails, the program ends: nothing is closed. */
static SOCKET listen_on( const char *address )
{
    char host[256];
    const char *colon = strrchr( address, ':' );
    struct addrinfo hints, *found;
    SOCKET listener;
    int on = 1, listening;

    if( colon == NULL || (size_t)( colon - address ) >= sizeof host )
        return INVALID_SOCKET;
    memcpy( host, address, (size_t)( colon - address ) );
    host[colon - address] = 0;
    memset( &hints, 0, sizeof hints );
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    if( getaddrinfo( host[0] == 0 ? NULL : host, colon + 1, &hints, &found ) != 0 )
        return INVALID_SOCKET;
    listener = socket( found->ai_family, SOCK_STREAM, 0 );
    setsockopt( listener, SOL_SOCKET, ADDRESS_OPTION, (const char *)&on, sizeof on );
    listening = bind( listener, found->ai_addr, (socklen_t)found->ai_addrlen ) == 0 && listen( listener, SOMAXCONN ) == 0;
    freeaddrinfo( found );
    return listening ? listener : INVALID_SOCKET;
}

int main( int argc, char **argv )
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
    SOCKET listener;
    int code;

    catch_interrupts();
    code = socket_iocp_new( &port, 16384, accepted, received, sent, ended );
    /* Only now: on Windows the first port starts Winsock. */
    listener = listen_on( address );
    if( listener == INVALID_SOCKET )
    {
        fprintf( stderr, "echo: cannot listen on %s\n", address );
        return 2;
    }
    if( code == 0 )
        code = socket_iocp_add_listen_socket( port, listener, 64, NULL );
    if( code != 0 )
    {
        fprintf( stderr, "echo: %s\n", socket_iocp_strerror( code ) );
        return 1;
    }
    printf( "echo: listening on %s\n", address );
    fflush( stdout );
    wait_for_interrupt();
    socket_iocp_delete( port );
    return 0;
}
