/* Queued bytes, their marks, and the port's limit of them. */
#include "check.h"

enum { PIECE = 1024 * 1024, ENOUGH = MORE_THAN_FITS / PIECE };

static char piece[PIECE], in[PIECE];
static int crossings[8];
static int crossing_count;
static void *the_port, *the_user;

static void crossed( SOCKET socket, void *user, int above )
{
    struct socket_iocp_completion completion;
    completion.size = sizeof completion;
    CHECK_OK( socket_iocp_result( the_port, &completion ) );
    CHECK( completion.operation == SOCKET_IOCP_OPERATION_WATERMARK && completion.status == 0 );
    CHECK( completion.socket == socket && user == the_user );
    CHECK( completion.socket_iocp_socket_state == socket_iocp_find_socket( the_port, socket ) );
    pthread_mutex_lock( &log_mutex );
    CHECK( crossing_count < 8 );
    crossings[crossing_count++] = above;
    pthread_cond_broadcast( &log_changed );
    pthread_mutex_unlock( &log_mutex );
}

static void await_crossings( int count )
{
    int index;
    pthread_mutex_lock( &log_mutex );
    while( crossing_count < count )
        pthread_cond_wait( &log_changed, &log_mutex );
    CHECK( crossing_count == count );
    for( index = 0; index < count; index++ )
        CHECK( crossings[index] == ( index + 1 ) % 2 );
    pthread_mutex_unlock( &log_mutex );
}

static void marks( void )
{
    struct socket_iocp_options options = default_options();
    SOCKET ends[2];
    void *handle;
    size_t bytes = 0;
    int index, round;

    /* The kernel takes some of the pieces at once. */
    options.high_watermark = MORE_THAN_FITS / 2;
    options.low_watermark = PIECE;
    options.watermark_callback_function = crossed;
    the_port = new_port_with( &options );
    handle = add_pair( the_port, ends, the_user = &options );
    for( round = 1; round <= 2; round++ )
    {
        for( index = 0; index < ENOUGH; index++ )
            CHECK_OK( socket_iocp_issue_async_send( the_port, handle, piece, PIECE, NULL ) );
        await_crossings( 2 * round - 1 );
        CHECK_OK( socket_iocp_queued_bytes( the_port, handle, &bytes ) );
        CHECK( bytes > 0 && bytes <= MORE_THAN_FITS );
        for( index = 0; index < ENOUGH; index++ )
            read_all( ends[1], in, PIECE );
        await_crossings( 2 * round );
        await( SENT, (size_t)( ENOUGH * round ) );
        CHECK_OK( socket_iocp_queued_bytes( the_port, handle, &bytes ) );
        CHECK( bytes == 0 );
    }
    CHECK_CODE( NULL_POINTER, socket_iocp_queued_bytes( the_port, handle, NULL ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_queued_bytes( the_port, NULL, &bytes ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_queued_bytes( the_port, (void *)1, &bytes ) );
    delete_port( the_port );
    CHECK_CODE( CLOSED, socket_iocp_queued_bytes( the_port, handle, &bytes ) );
    close_socket( ends[1] );
    forget_events();
}

static void limit_of_the_port( void )
{
    struct socket_iocp_options options = default_options();
    SOCKET first[2], second[2];
    void *port, *full, *other;
    size_t bytes = 77;
    int index;

    options.max_port_queued_bytes = MORE_THAN_FITS + 4;
    port = new_port_with( &options );
    full = add_pair( port, first, NULL );
    other = add_pair( port, second, NULL );
    for( index = 0; index < ENOUGH; index++ )
        CHECK_OK( socket_iocp_issue_async_send( port, full, piece, PIECE, NULL ) );
    /* What the kernel has taken is room again. */
    for( index = 0; index < ENOUGH; index++ )
        if( socket_iocp_issue_async_send( port, full, piece, PIECE, NULL ) != 0 )
            break;
    CHECK_CODE( LIMIT, socket_iocp_issue_async_send( port, other, piece, PIECE, NULL ) );
    CHECK_OK( socket_iocp_issue_async_send( port, other, (void *)"four", 4, NULL ) );
    expect_bytes( second[1], "four" );
    CHECK_CODE( UNSUPPORTED, socket_iocp_queued_bytes( port, other, &bytes ) );
    CHECK( bytes == 77 );
    delete_port( port );
    close_socket( first[1] );
    close_socket( second[1] );
    forget_events();
}

static void options_that_cannot_be( void )
{
    struct socket_iocp_options options = default_options();
    void *port = NULL;
    options.low_watermark = 1;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_new_with_options( &port, 1, accepted, received, sent, ended, &options ) );
    options.high_watermark = 1;
    options.low_watermark = 2;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_new_with_options( &port, 1, accepted, received, sent, ended, &options ) );
    options.high_watermark = options.low_watermark = 0;
    options.watermark_callback_function = crossed;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_new_with_options( &port, 1, accepted, received, sent, ended, &options ) );
    CHECK( port == NULL );
}

int main( void )
{
    begin_test();
    marks();
    limit_of_the_port();
    options_that_cannot_be();
    return 0;
}
