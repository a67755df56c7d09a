/* The switches of a port change how it works under Windows, and nothing that a program sees, on any system. */
#include "check.h"

static void with( uint32_t idle_reads, uint32_t skip_on_success )
{
    enum { ROUNDS = 20 };
    struct socket_iocp_options options = default_options();
    SOCKET ends[2];
    size_t round;
    void *port, *handle;

    options.idle_reads = idle_reads;
    options.skip_on_success = skip_on_success;
    port = new_port_with( &options );
    handle = add_pair( port, ends, NULL );
    for( round = 1; round <= ROUNDS; round++ )
    {
        struct event event;
        /* By turns the recv waits for the bytes, and the bytes for the recv. */
        if( round % 2 == 0 )
        {
            write_all( ends[1], "to and fro", 10 );
            CHECK( wait_readable( ends[0] ) );
        }
        CHECK_OK( socket_iocp_issue_recv( port, handle ) );
        if( round % 2 == 1 )
            write_all( ends[1], "to and fro", 10 );
        event = await( RECEIVED, round );
        CHECK( event.byte_count == 10 && memcmp( event.data, "to and fro", 10 ) == 0 );
        CHECK_OK( socket_iocp_issue_sync_send( port, handle, event.data, 10, (void *)round ) );
        expect_bytes( ends[1], "to and fro" );
        CHECK( await( SENT, round ).write == (void *)round );
        CHECK( await( SENT, round ).completion.byte_count == 10 );
    }
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK( shutdown( ends[1], SENDING ) == 0 );
    CHECK( await( RECEIVED, ROUNDS + 1 ).byte_count == 0 );
    CHECK_OK( await( RECEIVED, ROUNDS + 1 ).completion.status );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    expect_end( ends[1] );
    CHECK_OK( await( ENDED, 1 ).completion.status );
    delete_port( port );
    CHECK( logged( RECEIVED ) == ROUNDS + 1 && logged( SENT ) == ROUNDS && logged( ENDED ) == 1 );
    close_socket( ends[1] );
    forget_events();
}

int main( void )
{
    static const uint32_t settings[] = { SOCKET_IOCP_SWITCH_DEFAULT, SOCKET_IOCP_SWITCH_ON, SOCKET_IOCP_SWITCH_OFF };
    int sockets = begin_test(), idle_reads, skip_on_success;
    for( idle_reads = 0; idle_reads < 3; idle_reads++ )
        for( skip_on_success = 0; skip_on_success < 3; skip_on_success++ )
            with( settings[idle_reads], settings[skip_on_success] );
    CHECK( open_sockets() == sockets );
    return 0;
}
