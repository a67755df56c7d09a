/*
 * udp_echo ADDRESS: sends each datagram back to where it came from.
 *
 * Nothing is copied and nothing allocated: the read buffer is sent back from where it lies, by the socket's sync send, and the next
 * recv is issued when that has gone. What comes meanwhile waits in the kernel. A datagram that was longer than a read buffer is no
 * whole one, and has no answer; one of no bytes is a datagram like any other.
 */
#include "common.h"

enum { BUFFER_SIZE = 64 * 1024 };

static void *port;

/* An issue call here is refused only if the socket is ending already; its farewell is then on the way. */
static void next( SOCKET socket )
{
    socket_iocp_issue_recv( port, socket_iocp_find_socket( port, socket ) );
}

static void answer( SOCKET socket, void *read_buffer, DWORD byte_count, struct sockaddr *sender, int truncated, void *state )
{
    void *handle = socket_iocp_find_socket( port, socket );
    struct socket_iocp_completion completion;

    (void)state;
    completion.size = sizeof completion;
    /* Without a sender the recv has failed, and the socket goes on. */
    if( sender == NULL || truncated || socket_iocp_result( port, &completion ) != 0 )
        socket_iocp_issue_recv( port, handle );
    else
        socket_iocp_issue_sync_send_to( port, handle, read_buffer, byte_count, sender, completion.remote_address_size, NULL );
}

/* Whether it has gone or not: the next one. */
static void answered( SOCKET socket, void *state, void *write )
{
    (void)state, (void)write;
    next( socket );
}

static void ended( SOCKET socket, void *state )
{
    (void)socket, (void)state;
}

/* For streams, of which there are none here. */
static void accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listen_state, void **state )
{
    (void)socket, (void)local, (void)remote, (void)listen_state, (void)state;
}

static void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *state )
{
    (void)socket, (void)read_buffer, (void)byte_count, (void)state;
}

int main( int count, char **arguments )
{
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    SOCKET bound;
    int code;

    if( count != 2 )
    {
        fprintf( stderr, "usage: udp_echo ADDRESS\n" );
        return 2;
    }
    options.datagram_callback_function = answer;
    code = socket_iocp_new_with_options( &port, BUFFER_SIZE, accepted, received, answered, ended, &options );
    bound = bound_to( arguments[1], SOCK_DGRAM );
    catch_interrupts();
    if( bound == INVALID_SOCKET )
    {
        fprintf( stderr, "udp_echo: cannot listen on %s\n", arguments[1] );
        return 2;
    }
    if( code == 0 )
        code = socket_iocp_add_datagram_socket( port, bound, NULL );
    if( code == 0 )
        next( bound );
    return run_until_interrupt( "udp_echo", arguments[1], port, code );
}
