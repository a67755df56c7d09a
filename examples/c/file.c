/*
 * file ADDRESS:PORT FILE - sends a file to whoever connects, and closes the connection. (Read it by nc, or by curl --http0.9.)
 *
 * The file is opened once and sent by all: its bytes go from it to the sockets as each has room for them, and are never in memory as
 * a whole. A file that gets shorter meanwhile ends the connection by a reset, so that nobody takes a part for all.
 */
#ifdef _WIN32
#include <winsock2.h>
#else
#include <fcntl.h>
#endif

#include "common.h"

/* How long a client may read nothing, in milliseconds. */
enum { PATIENCE_MS = 60000 };

static void *port;
static socket_iocp_file file;

static int open_file( const char *path )
{
#ifdef _WIN32
    file = CreateFileA( path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, FILE_FLAG_SEQUENTIAL_SCAN,
                        NULL );
    return file != INVALID_HANDLE_VALUE;
#else
    file = open( path, O_RDONLY | O_CLOEXEC );
    return file != -1;
#endif
}

static void accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    void *handle = socket_iocp_find_socket( port, socket );
    (void)local, (void)remote, (void)listener, (void)user;
    if( socket_iocp_issue_file_send( port, handle, file, 0, SOCKET_IOCP_TO_THE_END, NULL ) != 0 )
        socket_iocp_abort_socket( port, handle );
}

static void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    (void)socket, (void)read_buffer, (void)byte_count, (void)user;
}

/* If not all of it has gone, the farewell comes next. */
static void sent( SOCKET socket, void *user, void *write )
{
    struct socket_iocp_completion completion;
    (void)socket, (void)user, (void)write;
    completion.size = sizeof completion;
    if( socket_iocp_result( port, &completion ) != 0 )
        return;
    if( completion.status == 0 )
        socket_iocp_close_socket( port, completion.socket_iocp_socket_state );
    else
        fprintf( stderr, "file: %s\n", socket_iocp_strerror( completion.status ) );
}

static void ended( SOCKET socket, void *user )
{
    (void)socket, (void)user;
}

int main( int argc, char **argv )
{
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    int code;

    if( argc < 3 || !open_file( argv[2] ) )
    {
        fprintf( stderr, "file: there is none to send\n" );
        return 2;
    }
    options.idle_timeout_ms = PATIENCE_MS;
    code = socket_iocp_new_with_options( &port, 4096, accepted, received, sent, ended, &options );
    return serve_until_interrupt( "file", argv[1], port, code );
}
