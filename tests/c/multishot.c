/* Recvs that stay with the kernel: a recv callback a recv, what comes in between kept for the next, and nothing lost by a removal. */
#include "check.h"

enum { ROUNDS = 50, PIECES = 40 };

static void *port;

static void by_turns( SOCKET ends[2], void *handle )
{
    size_t round;
    for( round = 1; round <= ROUNDS; round++ )
    {
        struct event event;
        /* By turns the recv waits for the bytes, and the bytes for the recv. */
        if( round % 2 == 0 )
            write_all( ends[1], "to and fro", 10 );
        CHECK( logged( RECEIVED ) == round - 1 );
        CHECK_OK( socket_iocp_issue_recv( port, handle ) );
        if( round % 2 == 1 )
            write_all( ends[1], "to and fro", 10 );
        event = await( RECEIVED, round );
        CHECK( event.byte_count == 10 && memcmp( event.data, "to and fro", 10 ) == 0 );
        CHECK_OK( socket_iocp_issue_sync_send( port, handle, event.data, 10, (void *)round ) );
        expect_bytes( ends[1], "to and fro" );
        CHECK( await( SENT, round ).write == (void *)round );
    }
    forget_events();
}

/* What was sent is in recv callbacks before the farewell, or still in the socket that comes back. */
static void removed( SOCKET ends[2], void *handle )
{
    char rest[PIECES * 10];
    size_t callbacks, index, got = 0;
    for( index = 0; index < PIECES; index++ )
        write_all( ends[1], "0123456789", 10 );
    CHECK_OK( socket_iocp_remove_socket( port, handle ) );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    callbacks = logged( RECEIVED );
    for( index = 1; index <= callbacks; index++ )
        got += await( RECEIVED, index ).byte_count;
    CHECK( got <= sizeof rest );
    read_all( ends[0], rest, sizeof rest - got );
    for( index = 0; index < sizeof rest - got; index++ )
        CHECK( rest[index] == (char)( '0' + ( got + index ) % 10 ) );
    close_socket( ends[0] );
}

int main( void )
{
    static const uint32_t settings[] = { SOCKET_IOCP_SWITCH_DEFAULT, SOCKET_IOCP_SWITCH_ON, SOCKET_IOCP_SWITCH_OFF };
    int sockets = begin_test(), index;
    for( index = 0; index < 3; index++ )
    {
        struct socket_iocp_options options = default_options();
        SOCKET ends[2];
        void *handle;
        options.multishot_recv = settings[index];
        port = new_port_with( &options );
        handle = add_pair( port, ends, NULL );
        by_turns( ends, handle );
        removed( ends, handle );
        delete_port( port );
        close_socket( ends[1] );
        forget_events();
    }
    CHECK( open_sockets() == sockets );
    return 0;
}
