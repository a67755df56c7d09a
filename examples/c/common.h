/* What the other examples share. (echo.c has its own, so that it is whole in one file.) */
#ifndef COMMON_H
#define COMMON_H

#include <stdio.h>
#include <string.h>

#include "socket_iocp.h"

#ifdef _WIN32
#include <ws2tcpip.h>
#else
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#endif

/* What systems do in their own ways: locks, waiting for Ctrl-C, and an address that was in use. */
#ifdef _WIN32

typedef SRWLOCK mutex_type;
#define MUTEX_INIT SRWLOCK_INIT

static inline void lock( mutex_type *mutex )
{
    AcquireSRWLockExclusive( mutex );
}

static inline void unlock( mutex_type *mutex )
{
    ReleaseSRWLockExclusive( mutex );
}

static HANDLE interrupted;

static inline BOOL WINAPI interrupt( DWORD kind )
{
    (void)kind;
    return SetEvent( interrupted );
}

static inline void catch_interrupts( void )
{
    interrupted = CreateEvent( NULL, TRUE, FALSE, NULL );
    SetConsoleCtrlHandler( interrupt, TRUE );
}

static inline void wait_for_interrupt( void )
{
    WaitForSingleObject( interrupted, INFINITE );
}

/* SO_REUSEADDR would share the address with strangers. */
enum { ADDRESS_OPTION = SO_EXCLUSIVEADDRUSE };

#else

typedef pthread_mutex_t mutex_type;
#define MUTEX_INIT PTHREAD_MUTEX_INITIALIZER

static inline void lock( mutex_type *mutex )
{
    pthread_mutex_lock( mutex );
}

static inline void unlock( mutex_type *mutex )
{
    pthread_mutex_unlock( mutex );
}

static sigset_t interrupts;

/* The port's own threads block all signals: Ctrl-C comes to this one. */
static inline void catch_interrupts( void )
{
    sigemptyset( &interrupts );
    sigaddset( &interrupts, SIGINT );
    sigaddset( &interrupts, SIGTERM );
    sigprocmask( SIG_BLOCK, &interrupts, NULL );
}

static inline void wait_for_interrupt( void )
{
    int number;
    sigwait( &interrupts, &number );
}

/* Connections of an earlier run may linger. */
enum { ADDRESS_OPTION = SO_REUSEADDR };

#endif

/* A socket of this type that is bound to "host:port", or INVALID_SOCKET. When it fails, the program ends: nothing is closed. */
static inline SOCKET bound_to( const char *address, int type )
{
    char host[256];
    const char *colon = strrchr( address, ':' );
    struct addrinfo hints, *found;
    SOCKET fresh;
    int on = 1, bound;

    if( colon == NULL || (size_t)( colon - address ) >= sizeof host )
        return INVALID_SOCKET;
    memcpy( host, address, (size_t)( colon - address ) );
    host[colon - address] = 0;
    memset( &hints, 0, sizeof hints );
    hints.ai_socktype = type;
    hints.ai_flags = AI_PASSIVE;
    if( getaddrinfo( host[0] == 0 ? NULL : host, colon + 1, &hints, &found ) != 0 )
        return INVALID_SOCKET;
    fresh = socket( found->ai_family, type, 0 );
    if( type == SOCK_STREAM )
        setsockopt( fresh, SOL_SOCKET, ADDRESS_OPTION, (const char *)&on, sizeof on );
    bound = bind( fresh, found->ai_addr, (socklen_t)found->ai_addrlen ) == 0;
    freeaddrinfo( found );
    return bound ? fresh : INVALID_SOCKET;
}

/* A listening socket on "host:port", or INVALID_SOCKET; likewise. */
static inline SOCKET listen_on( const char *address )
{
    SOCKET listener = bound_to( address, SOCK_STREAM );
    return listener != INVALID_SOCKET && listen( listener, SOMAXCONN ) == 0 ? listener : INVALID_SOCKET;
}

/* Says where, waits for Ctrl-C, then deletes the port. Returns what main returns. `code` is what making all of it gave. */
static inline int run_until_interrupt( const char *name, const char *address, void *port, int code )
{
    if( code != 0 )
    {
        fprintf( stderr, "%s: %s\n", name, socket_iocp_strerror( code ) );
        return 1;
    }
    printf( "%s: listening on %s\n", name, address );
    fflush( stdout );
    wait_for_interrupt();
    socket_iocp_delete( port );
    return 0;
}

/* Serves on this address until Ctrl-C, then deletes the port. Returns what main returns. `code` is what making it gave. */
static inline int serve_until_interrupt( const char *name, const char *address, void *port, int code )
{
    SOCKET listener = listen_on( address );

    catch_interrupts();
    if( listener == INVALID_SOCKET )
    {
        fprintf( stderr, "%s: cannot listen on %s\n", name, address );
        return 2;
    }
    if( code == 0 )
        code = socket_iocp_add_listen_socket( port, listener, 64, NULL );
    return run_until_interrupt( name, address, port, code );
}

#endif
