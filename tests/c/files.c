/* File sends: ranges of files, in their turn among other sends; files that are too short, or too late, or no files. */
#include "check.h"

enum { MORE_THAN_A_CHUNK = 300000 };

static void *port;
static unsigned char content[MORE_THAN_A_CHUNK];
static char much[MORE_THAN_FITS];

/* A file of these bytes, which goes when it is closed. */
static socket_iocp_file make_file( size_t length )
{
    socket_iocp_file file = temporary_file();
    CHECK( write_to_file( file, content, length ) );
    return file;
}

static void expect_content( SOCKET from, size_t offset, size_t length )
{
    static unsigned char in[MORE_THAN_A_CHUNK];
    read_all( from, in, length );
    CHECK( memcmp( in, content + offset, length ) == 0 );
}

static void send_range( void *handle, socket_iocp_file file, uint64_t offset, uint64_t length, void *write )
{
    CHECK_OK( socket_iocp_issue_file_send( port, handle, file, offset, length, write ) );
}

static void among_others( void )
{
    socket_iocp_file file = make_file( sizeof content );
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    size_t index;
    uint64_t expected[6];
    send_range( handle, file, 0, SOCKET_IOCP_TO_THE_END, (void *)1 );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"between", 7, (void *)2 ) );
    send_range( handle, file, 1000, 70000, (void *)3 );
    send_range( handle, file, 5, 0, (void *)4 );
    send_range( handle, file, sizeof content + 1, SOCKET_IOCP_TO_THE_END, (void *)5 );
    send_range( handle, file, sizeof content - 1, SOCKET_IOCP_TO_THE_END, (void *)6 );
    expect_content( ends[1], 0, sizeof content );
    expect_bytes( ends[1], "between" );
    expect_content( ends[1], 1000, 70000 );
    expect_content( ends[1], sizeof content - 1, 1 );
    expected[0] = sizeof content, expected[1] = 7, expected[2] = 70000, expected[3] = 0, expected[4] = 0, expected[5] = 1;
    for( index = 0; index < 6; index++ )
    {
        struct event event = await( SENT, index + 1 );
        CHECK( event.write == (void *)( index + 1 ) && event.completion.status == 0 );
        CHECK( event.completion.byte_count == expected[index] );
    }
    /* It is the caller's still. */
    close_own_file( file );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

/* What has gone is told, and what is behind it never goes. */
static void too_short( void )
{
    socket_iocp_file file = make_file( 100 );
    SOCKET ends[2];
    static char in[MORE_THAN_FITS + 100];
    int got;
    size_t all = 0;
    void *handle = add_pair( port, ends, NULL );
    /* The others wait until somebody reads. */
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, much, sizeof much, NULL ) );
    send_range( handle, file, 40, 100, (void *)1 );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"never", 5, (void *)2 ) );
    while( all < sizeof in && ( got = (int)recv( ends[1], in + all, (byte_count_t)( sizeof in - all ), 0 ) ) > 0 )
        all += (size_t)got;
    /* By reset, which may have overtaken some of it. */
    CHECK( all <= sizeof much + 60 && met_reset( ends[1], got ) );
    CHECK( all <= sizeof much || memcmp( in + sizeof much, content + 40, all - sizeof much ) == 0 );
    CHECK( await( SENT, 1 ).completion.status == 0 );
    CHECK( await( SENT, 2 ).completion.status == SOCKET_IOCP_E_FILE_TOO_SHORT && await( SENT, 2 ).completion.byte_count == 60 );
    CHECK( await( SENT, 3 ).completion.status == SOCKET_IOCP_E_CANCELLED && await( SENT, 3 ).completion.byte_count == 0 );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_FILE_TOO_SHORT );
    close_own_file( file );
    close_socket( ends[1] );
    forget_events();
}

/* What has gone by then is told, and what is behind it follows at once. */
static void within_a_time( void )
{
    enum { LARGE = 64 * MORE_THAN_A_CHUNK, SHORT_MS = 20, LONG_MS = 24 * 60 * 60 * 1000, TOO_LONG_MS = 604800001 };
    socket_iocp_file file = temporary_file();
    SOCKET ends[2];
    struct event event;
    size_t part;
#ifndef _WIN32
    uint64_t gone;
#endif
    void *handle = add_pair( port, ends, NULL );
    for( part = 0; part < LARGE; part += sizeof content )
        CHECK( write_to_file( file, content, sizeof content ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_file_send_with_timeout( port, handle, file, 0, 1, NULL, TOO_LONG_MS ) );
    CHECK_CODE( BAD_SOCKET, socket_iocp_issue_file_send_with_timeout( port, handle, NO_FILE_AT_ALL, 0, 1, NULL, LONG_MS ) );
    CHECK_OK( socket_iocp_issue_file_send_with_timeout( port, handle, file, 0, SOCKET_IOCP_TO_THE_END, (void *)1, SHORT_MS ) );
    event = await( SENT, 1 );
    CHECK( event.write == (void *)1 && event.completion.status == SOCKET_IOCP_E_TIMED_OUT );
    CHECK( event.completion.byte_count < LARGE );
#ifdef _WIN32
    /* The system may have reset the connection, since the send had begun. */
    socket_iocp_abort_socket( port, handle );
#else
    CHECK_OK( socket_iocp_issue_file_send_with_timeout( port, handle, file, 100, 6, (void *)2, LONG_MS ) );
    for( gone = event.completion.byte_count; gone > 0; gone -= part )
    {
        part = gone < sizeof content ? (size_t)gone : sizeof content;
        expect_content( ends[1], 0, part );
    }
    expect_content( ends[1], 100, 6 );
    CHECK( await( SENT, 2 ).write == (void *)2 && await( SENT, 2 ).completion.status == 0 );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
#endif
    await( ENDED, 1 );
    close_own_file( file );
    close_socket( ends[1] );
    forget_events();
}

static void misuse( void )
{
    socket_iocp_file file = make_file( 10 );
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_file_send( port, NULL, file, 0, 1, NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_issue_file_send( port, port, file, 0, 1, NULL ) );
    CHECK_CODE( BAD_SOCKET, socket_iocp_issue_file_send( port, handle, NO_FILE_AT_ALL, 0, 1, NULL ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_file_send( port, handle, file, 2, UINT64_MAX - 1, NULL ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_file_send( port, handle, file, UINT64_MAX / 2, 2, NULL ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_file_send( port, handle, file, UINT64_MAX, SOCKET_IOCP_TO_THE_END, NULL ) );
    CHECK_OK( socket_iocp_shutdown_send( port, handle ) );
    CHECK_CODE( SHUTDOWN, socket_iocp_issue_file_send( port, handle, file, 0, 1, NULL ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    CHECK_CODE( CLOSED, socket_iocp_issue_file_send( port, handle, file, 0, 1, NULL ) );
    CHECK( logged( SENT ) == 0 );
    close_own_file( file );
    close_socket( ends[1] );
    forget_events();
}

/* What may be in memory of it counts, and not its length. */
static void limits( void )
{
    struct socket_iocp_options options = default_options();
    socket_iocp_file file = make_file( sizeof content );
    SOCKET ends[2];
    size_t bytes;
    void *handle, *other = port;
    options.max_queued_bytes = 2 * 65536 + 1;
    port = new_port_with( &options );
    handle = add_pair( port, ends, NULL );
    /* Nobody reads: both wait. */
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, much, MORE_THAN_FITS, NULL ) );
    send_range( handle, file, 0, SOCKET_IOCP_TO_THE_END, NULL );
    send_range( handle, file, 0, sizeof content, NULL );
    CHECK_CODE( QUEUE_FULL, socket_iocp_issue_file_send( port, handle, file, 0, 2, NULL ) );
    send_range( handle, file, 0, 1, NULL );
    CHECK_OK( socket_iocp_queued_bytes( port, handle, &bytes ) );
    CHECK( bytes == 2 * 65536 + 1 );
    delete_port( port );
    close_own_file( file );
    close_socket( ends[1] );
    forget_events();
    port = other;
}

int main( void )
{
    size_t index;
    int sockets = begin_test();
    for( index = 0; index < sizeof content; index++ )
        content[index] = (unsigned char)( index * 31 >> 8 ^ index );
    port = new_port();
    among_others();
    too_short();
    within_a_time();
    misuse();
    limits();
    delete_port( port );
    CHECK( open_sockets() == sockets );
    return 0;
}
