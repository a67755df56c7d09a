/* Sends without a copy: a buffer is the library's until its callback, and the caller's from then on. */
#include "check.h"

enum { BUFFERS = 8, ROUNDS = 12, LENGTH = 150000 };

static char buffers[BUFFERS][LENGTH];
static char arrived[BUFFERS * LENGTH];

/* The buffer is the caller's again: something else is written over it at once. */
static void overwrite( struct event *event )
{
    memset( event->write, '!', LENGTH );
}

static void one_round( void *port, void *handle, SOCKET peer, int sync_first )
{
    int index;
    size_t at;
    for( index = 0; index < BUFFERS; index++ )
    {
        memset( buffers[index], 'a' + index, LENGTH );
        if( index == 0 && sync_first )
            CHECK_OK( socket_iocp_issue_sync_send( port, handle, buffers[index], LENGTH, buffers[index] ) );
        else
            CHECK_OK( socket_iocp_issue_async_send( port, handle, buffers[index], LENGTH, buffers[index] ) );
    }
    read_all( peer, arrived, sizeof arrived );
    for( at = 0; at < sizeof arrived; at++ )
        CHECK( arrived[at] == 'a' + (int)( at / LENGTH ) );
    for( index = 0; index < BUFFERS; index++ )
    {
        struct event event = await( SENT, (size_t)index + 1 );
        CHECK_OK( event.completion.status );
        CHECK( event.write == buffers[index] && event.completion.byte_count == LENGTH );
        CHECK( buffers[index][0] == '!' && buffers[index][LENGTH - 1] == '!' );
    }
}

static void with( int32_t threads, uint32_t from )
{
    struct socket_iocp_options options = default_options();
    SOCKET ends[2];
    void *port, *handle;
    int round;
    options.threads = threads;
    options.zero_copy_from = from;
    port = new_port_with( &options );
    handle = add_pair( port, ends, NULL );
    for( round = 0; round < ROUNDS; round++ )
    {
        test_hooks[SENT] = overwrite;
        one_round( port, handle, ends[1], round % 2 );
        forget_events();
    }
    delete_port( port );
    CHECK( logged( ENDED ) == 1 );
    expect_reset( ends[1] );
    close_socket( ends[1] );
    forget_events();
}

int main( void )
{
    int sockets = begin_test();
    with( 1, 1 );
    with( 2, LENGTH );
    with( 2, LENGTH + 1 );
    CHECK( open_sockets() == sockets );
    return 0;
}
