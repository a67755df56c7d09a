/*
 * keepalive ADDRESS:PORT MILLISECONDS - sends back whatever comes, and keeps no client that is gone without a word.
 *
 * A client that has said nothing for so many milliseconds is sent "ping"; one that says nothing for five times as long is told
 * "bye" and dropped, as is one that does not take what is sent back to it. The first is the socket's timer, the others are time
 * limits of its recv and its send: nothing here looks at a clock.
 */
#include <stdlib.h>

#include "common.h"

static void *port;
static DWORD quiet_ms, patience_ms;
static char ping[] = "ping\n", bye[] = "bye\n";

struct client
{
    void *handle;
    int heard; /* it has said something since the timer was issued */
};

static void accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    void *handle = socket_iocp_find_socket( port, socket );
    struct client *client = malloc( sizeof *client );
    (void)local, (void)remote, (void)listener;
    if( client == NULL )
    {
        socket_iocp_abort_socket( port, handle );
        return;
    }
    client->handle = handle;
    client->heard = 1;
    *user = client;
    socket_iocp_issue_recv_with_timeout( port, handle, patience_ms );
    socket_iocp_issue_timer( port, handle, quiet_ms, NULL );
}

/* What the callback that runs reports. */
static int status( void )
{
    struct socket_iocp_completion completion;
    completion.size = sizeof completion;
    return socket_iocp_result( port, &completion ) == 0 ? completion.status : SOCKET_IOCP_E_WRONG_CONTEXT;
}

static void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    struct client *client = user;
    (void)socket;
    if( byte_count > 0 )
    {
        client->heard = 1;
        socket_iocp_issue_sync_send_with_timeout( port, client->handle, read_buffer, byte_count, client, patience_ms );
        return;
    }
    if( status() == SOCKET_IOCP_E_TIMED_OUT )
        socket_iocp_issue_async_send( port, client->handle, bye, sizeof bye - 1, NULL );
    socket_iocp_close_socket( port, client->handle );
}

/* What was sent back has its client as its state, a ping has none. */
static void sent( SOCKET socket, void *user, void *write )
{
    struct client *client = user;
    (void)socket;
    if( write == NULL )
        return;
    if( status() == 0 )
        socket_iocp_issue_recv_with_timeout( port, client->handle, patience_ms );
    else
        socket_iocp_abort_socket( port, client->handle ); /* a part of it has gone: nothing sensible is left to say */
}

static void timed( SOCKET socket, void *user, void *state )
{
    struct client *client = user;
    (void)socket, (void)state;
    if( status() != 0 )
        return;
    if( !client->heard )
        socket_iocp_issue_async_send( port, client->handle, ping, sizeof ping - 1, NULL );
    client->heard = 0;
    socket_iocp_issue_timer( port, client->handle, quiet_ms, NULL );
}

static void ended( SOCKET socket, void *user )
{
    (void)socket;
    free( user );
}

int main( int argc, char **argv )
{
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    int code;

    quiet_ms = argc > 2 ? (DWORD)strtoul( argv[2], NULL, 10 ) : 30000;
    patience_ms = 5 * quiet_ms;
    options.timer_callback_function = timed;
    code = socket_iocp_new_with_options( &port, 4096, accepted, received, sent, ended, &options );
    return serve_until_interrupt( "keepalive", argc > 1 ? argv[1] : "127.0.0.1:7000", port, code );
}
