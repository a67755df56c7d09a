/* What the tests ask of Windows. on_posix.h has the same names. */
#ifndef ON_WINDOWS_H
#define ON_WINDOWS_H

#include <winsock2.h>
#include <ws2tcpip.h>

#include <errno.h>
#include <pthread.h> /* mingw's */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "socket_iocp.h"

typedef int byte_count_t; /* of send and recv */

#define SENDING SD_SEND
#define NO_SIGNAL 0
#define NOT_A_SOCKET WSAENOTSOCK /* what a closed socket's number is */
#define CODE_OF_POLLABLE SOCKET_IOCP_E_UNSUPPORTED
#define SIZE_OF_SOCKET sizeof( void * )
#define FOREIGN_BACKEND SOCKET_IOCP_BACKEND_IO_URING

static inline void start_sockets( void )
{
    WSADATA data;
    if( WSAStartup( MAKEWORD( 2, 2 ), &data ) != 0 )
        abort();
}

static DWORD WINAPI end_late( void *seconds )
{
    Sleep( (DWORD)(uintptr_t)seconds * 1000 );
    fprintf( stderr, "the time is over\n" );
    abort();
}

/* Ends a test that would wait for ever. */
static inline void end_after( unsigned seconds )
{
    HANDLE thread = CreateThread( NULL, 0, end_late, (void *)(uintptr_t)seconds, 0, NULL );
    if( thread == NULL )
        abort();
    CloseHandle( thread );
}

/* Whether a code in socket_iocp_completion is a reset's: a call's own, or a completion's. */
static inline int is_reset( int os_error )
{
    return os_error == WSAECONNRESET || os_error == ERROR_NETNAME_DELETED;
}

static inline int is_wine( void )
{
    return GetProcAddress( GetModuleHandleA( "ntdll" ), "wine_get_version" ) != NULL;
}

/* Whether this answer of recv's is a reset's. Wine answers a reset that came before like a FIN, and tells WSAPoll alone. */
static inline int met_reset( SOCKET from, int answer )
{
    WSAPOLLFD failed;
    if( answer != 0 || !is_wine() )
        return answer == -1 && WSAGetLastError() == WSAECONNRESET;
    failed.fd = from;
    failed.events = POLLRDNORM;
    return WSAPoll( &failed, 1, 0 ) == 1 && ( failed.revents & POLLERR );
}

/* Whether a socket that was removed from a port can be added again: Wine cannot take it off the completion port. */
static inline int sockets_come_back( void )
{
    if( is_wine() )
        printf( "left out: on Wine a removed socket cannot be added again\n" );
    return !is_wine();
}

static inline int last_error( void )
{
    return WSAGetLastError();
}

static inline void set_last_error( int error )
{
    WSASetLastError( error );
}

static inline void close_socket( SOCKET socket )
{
    closesocket( socket );
}

/* A number that has become a thread's or an event's does not count. */
static inline int is_open( SOCKET socket )
{
    return GetFileType( (HANDLE)socket ) != FILE_TYPE_UNKNOWN;
}

/* The sockets of the process. Other handles come and go with what the system does in it. */
static inline int open_sockets( void )
{
    SOCKET handle;
    int count = 0;
    for( handle = 4; handle < 4 * 4096; handle += 4 )
    {
        int type, size = sizeof type;
        count += getsockopt( handle, SOL_SOCKET, SO_TYPE, (char *)&type, &size ) == 0;
    }
    return count;
}

/* Something open that is no socket. */
static inline SOCKET open_file( void )
{
    return (SOCKET)CreateFileA( "NUL", GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL );
}

static inline void close_file( SOCKET file )
{
    CloseHandle( (HANDLE)file );
}

#define NO_FILE_AT_ALL INVALID_HANDLE_VALUE

/* A new file that goes when it is closed. */
static inline socket_iocp_file temporary_file( void )
{
    char folder[MAX_PATH], name[MAX_PATH];
    if( GetTempPathA( sizeof folder, folder ) == 0 || GetTempFileNameA( folder, "sio", 0, name ) == 0 )
        return NO_FILE_AT_ALL;
    return CreateFileA( name, GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL );
}

static inline int write_to_file( socket_iocp_file file, const void *bytes, size_t count )
{
    DWORD written;
    return WriteFile( file, bytes, (DWORD)count, &written, NULL ) && written == count;
}

static inline void close_own_file( socket_iocp_file file )
{
    CloseHandle( file );
}

static inline int open_pipe( SOCKET ends[2] )
{
    HANDLE from, to;
    if( !CreatePipe( &from, &to, NULL, 0 ) )
        return 0;
    ends[0] = (SOCKET)from;
    ends[1] = (SOCKET)to;
    return 1;
}

static inline int make_blocking( SOCKET socket )
{
    u_long nonblocking = 0;
    return ioctlsocket( socket, FIONBIO, &nonblocking ) == 0;
}

/* Calls on the socket do not wait any more. */
static inline void dont_wait( SOCKET socket )
{
    u_long nonblocking = 1;
    ioctlsocket( socket, FIONBIO, &nonblocking );
}

/* Waits until a recv would not. */
static inline int wait_readable( SOCKET socket )
{
    WSAPOLLFD readable;
    readable.fd = socket;
    readable.events = POLLRDNORM;
    return WSAPoll( &readable, 1, -1 ) == 1;
}

/* Sets an environment variable; without a value, takes it away. */
static inline int set_variable( const char *name, const char *value )
{
    return SetEnvironmentVariableA( name, value ) != 0;
}

static HMODULE library;

static inline int load_library( const char *path )
{
    library = LoadLibraryA( path );
    return library != NULL;
}

static inline int unload_library( void )
{
    return FreeLibrary( library ) != 0;
}

static inline int is_loaded( const char *path )
{
    return GetModuleHandleA( path ) != NULL;
}

/* Stores a function of the library in a pointer to it. */
static inline int find_function( const char *name, void *place, size_t size )
{
    FARPROC found = GetProcAddress( library, name );
    memcpy( place, &found, size );
    return found != NULL;
}

static inline void tcp_pair( SOCKET ends[2] );

/* Two ends of a TCP connection, the first of which has this number, which is free. A number cannot be asked for here: new
   sockets are made until one has it. */
static inline int tcp_pair_under( SOCKET number, SOCKET ends[2] )
{
    SOCKET made[64][2];
    int index, count = 0;
    do
    {
        tcp_pair( made[count] );
        ends[0] = made[count][0];
        ends[1] = made[count][1];
        if( ends[1] == number )
        {
            ends[1] = ends[0];
            ends[0] = number;
        }
        count++;
    } while( ends[0] != number && count < 64 );
    for( index = 0; index < count - 1; index++ )
        close_socket( made[index][0] ), close_socket( made[index][1] );
    return ends[0] == number;
}

#endif
