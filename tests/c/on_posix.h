/* What the tests ask of a POSIX system. on_windows.h has the same names. */
#ifndef ON_POSIX_H
#define ON_POSIX_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket_iocp.h"

typedef size_t byte_count_t; /* of send and recv */

#define SENDING SHUT_WR
#define NO_SIGNAL MSG_NOSIGNAL
#define NOT_A_SOCKET EBADF /* what a closed socket's number is */
#define CODE_OF_POLLABLE 0
#define SIZE_OF_SOCKET sizeof( int )
#define FOREIGN_BACKEND SOCKET_IOCP_BACKEND_IOCP

static inline void start_sockets( void )
{
}

/* Ends a test that would wait for ever. */
static inline void end_after( unsigned seconds )
{
    alarm( seconds );
}

/* Whether a code in socket_iocp_completion is a reset's. */
static inline int is_reset( int os_error )
{
    return os_error == ECONNRESET;
}

/* Whether this answer of recv's is a reset's. */
static inline int met_reset( SOCKET from, int answer )
{
    (void)from;
    return answer == -1 && errno == ECONNRESET;
}

/* Whether a socket that was removed from a port can be added again. */
static inline int sockets_come_back( void )
{
    return 1;
}

static inline int last_error( void )
{
    return errno;
}

static inline void set_last_error( int error )
{
    errno = error;
}

static inline void close_socket( SOCKET socket )
{
    close( socket );
}

static inline int is_open( SOCKET socket )
{
    return fcntl( socket, F_GETFD ) != -1;
}

/* All descriptors of the process, what the library has under its ports included. */
static inline int open_sockets( void )
{
    int descriptor, count = 0;
    for( descriptor = 0; descriptor < 1024; descriptor++ )
        count += is_open( descriptor );
    return count;
}

/* Something open that is no socket. */
static inline SOCKET open_file( void )
{
    return open( "/dev/null", O_RDWR );
}

static inline void close_file( SOCKET file )
{
    close( file );
}

#define NO_FILE_AT_ALL ( -1 )

/* A new file that goes when it is closed. */
static inline socket_iocp_file temporary_file( void )
{
    char name[] = "/tmp/socket_iocp_test_XXXXXX";
    int file = mkstemp( name );
    if( file != -1 )
        unlink( name );
    return file;
}

static inline int write_to_file( socket_iocp_file file, const void *bytes, size_t count )
{
    return write( file, bytes, count ) == (ssize_t)count;
}

static inline void close_own_file( socket_iocp_file file )
{
    close( file );
}

static inline int open_pipe( SOCKET ends[2] )
{
    return pipe( ends ) == 0;
}

static inline int make_blocking( SOCKET socket )
{
    int flags = fcntl( socket, F_GETFL );
    return flags != -1 && fcntl( socket, F_SETFL, flags & ~O_NONBLOCK ) == 0;
}

/* Calls on the socket do not wait any more. */
static inline void dont_wait( SOCKET socket )
{
    fcntl( socket, F_SETFL, fcntl( socket, F_GETFL ) | O_NONBLOCK );
}

/* Waits until a recv would not. */
static inline int wait_readable( SOCKET socket )
{
    struct pollfd readable;
    readable.fd = socket;
    readable.events = POLLIN;
    while( poll( &readable, 1, -1 ) == -1 )
        if( errno != EINTR )
            return 0;
    return 1;
}

/* Sets an environment variable; without a value, takes it away. */
static inline int set_variable( const char *name, const char *value )
{
    return ( value == NULL ? unsetenv( name ) : setenv( name, value, 1 ) ) == 0;
}

static void *library;

static inline int load_library( const char *path )
{
    library = dlopen( path, RTLD_NOW | RTLD_LOCAL );
    return library != NULL;
}

static inline int unload_library( void )
{
    return dlclose( library ) == 0;
}

static inline int is_loaded( const char *path )
{
    return dlopen( path, RTLD_NOW | RTLD_NOLOAD ) != NULL;
}

/* Stores a function of the library in a pointer to it. */
static inline int find_function( const char *name, void *place, size_t size )
{
    void *found = dlsym( library, name );
    memcpy( place, &found, size );
    return found != NULL;
}

static inline void tcp_pair( SOCKET ends[2] );

/* Two ends of a TCP connection, the first of which has this number, which is free. */
static inline int tcp_pair_under( SOCKET number, SOCKET ends[2] )
{
    tcp_pair( ends );
    if( ends[1] == number )
    {
        ends[1] = ends[0];
        ends[0] = number;
    }
    if( ends[0] != number )
    {
        int moved = dup2( ends[0], number );
        close( ends[0] );
        ends[0] = moved;
    }
    return ends[0] == number;
}

#endif
