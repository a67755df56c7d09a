/*
 * forward ADDRESS:PORT HOST:PORT - connects each client to the target, and hands on what either says to the other.
 *
 * The target is a host's name, looked up anew for each client, or an address. A connection to it is one more socket of the port. What
 * one of the two sends is taken from it and sent to the other from where it lies, and the next is asked for when that has gone: a side that does not read holds up the other, and no memory grows.
 */
#include <stdlib.h>

#include "common.h"

/* How long the target may take to answer, in milliseconds. */
enum { PATIENCE_MS = 10000 };

struct pair;

/* One of the two sockets. */
struct side
{
    struct pair *pair;
    void *handle; /* NULL once it has ended */
};

struct pair
{
    struct side client, target;
    int finished; /* how many of the two have sent all that they will */
};

static void *port;
static char target_host[256];
static DWORD target_port;

static struct side *other( struct side *side )
{
    return side == &side->pair->client ? &side->pair->target : &side->pair->client;
}

static void accepted( SOCKET socket_of_client, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    void *handle = socket_iocp_find_socket( port, socket_of_client );
    struct pair *pair = calloc( 1, sizeof *pair );
    (void)local, (void)remote, (void)listener;

    if( pair != NULL )
    {
        pair->client.pair = pair->target.pair = pair;
        if( socket_iocp_issue_connect_host( port, target_host, target_port, PATIENCE_MS, &pair->target,
                                            &pair->target.handle ) == 0 )
        {
            pair->client.handle = handle;
            *user = &pair->client;
            return;
        }
    }
    /* The client ends without a state, and what was made for it is of no use. */
    free( pair );
    socket_iocp_abort_socket( port, handle );
}

static void connected( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *user )
{
    struct pair *pair = ( (struct side *)user )->pair;
    (void)socket, (void)local, (void)remote;
    socket_iocp_issue_recv( port, pair->target.handle );
    if( pair->client.handle != NULL )
        socket_iocp_issue_recv( port, pair->client.handle );
}

static void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    struct side *side = user, *to = other( side );
    (void)socket;
    if( byte_count == 0 )
    {
        if( ++side->pair->finished == 1 )
            socket_iocp_shutdown_send( port, to->handle );
        else
        {
            socket_iocp_close_socket( port, side->handle );
            socket_iocp_close_socket( port, to->handle );
        }
        return;
    }
    if( socket_iocp_take_buffer( port, side->handle, &read_buffer ) == 0 )
    {
        if( socket_iocp_issue_async_send( port, to->handle, read_buffer, byte_count, read_buffer ) == 0 )
            return;
        socket_iocp_release_buffer( read_buffer );
    }
    socket_iocp_abort_socket( port, side->handle );
}

/* What has gone to this one came from the other. If it has not, the farewell comes next. */
static void sent( SOCKET socket, void *user, void *read_buffer )
{
    struct side *side = user;
    (void)socket;
    socket_iocp_release_buffer( read_buffer );
    if( other( side )->handle != NULL )
        socket_iocp_issue_recv( port, other( side )->handle );
}

/* With one side the other ends, after what is on its way to it. */
static void ended( SOCKET socket, void *user )
{
    struct side *side = user;
    (void)socket;
    if( side == NULL )
        return;
    side->handle = NULL;
    if( other( side )->handle != NULL )
        socket_iocp_close_socket( port, other( side )->handle );
    else
        free( side->pair );
}

/* HOST:PORT, with brackets around an IPv6 address. */
static int parse_target( const char *text )
{
    const char *colon = strrchr( text, ':' );
    size_t length = colon == NULL ? 0 : (size_t)( colon - text );
    if( length >= 2 && text[0] == '[' && text[length - 1] == ']' )
        text++, length -= 2;
    if( length == 0 || length >= sizeof target_host )
        return -1;
    memcpy( target_host, text, length );
    target_host[length] = 0;
    target_port = (DWORD)strtoul( colon + 1, NULL, 10 );
    return target_port == 0 || target_port > 65535 ? -1 : 0;
}

int main( int argc, char **argv )
{
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    const char *to = argc > 2 ? argv[2] : "localhost:7001";
    int code;

    if( parse_target( to ) != 0 )
    {
        fprintf( stderr, "forward: cannot forward to %s\n", to );
        return 2;
    }
    /* One worker: the callbacks of a client and of its target never run at once, and what they share needs no lock. */
    options.threads = 1;
    options.connect_callback_function = connected;
    code = socket_iocp_new_with_options( &port, 16384, accepted, received, sent, ended, &options );
    return serve_until_interrupt( "forward", argc > 1 ? argv[1] : "127.0.0.1:7000", port, code );
}
