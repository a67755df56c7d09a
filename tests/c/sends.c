/* Sends: sync and async mixed leave whole and in order, each is reported once, in order; none and many bytes. */
#include "check.h"

static void *port;

/* Each write is the bytes of its own number, so that order and wholeness show in the stream. */
static void order( void )
{
    enum { SENDS = 2000, SIZE = 300 };
    static unsigned char bytes[SENDS][SIZE], in[SIZE];
    SOCKET ends[2];
    int index;
    void *handle = add_pair( port, ends, bytes );

    for( index = 0; index < SENDS; index++ )
    {
        int code = SOCKET_IOCP_E_BUSY;
        memset( bytes[index], index, SIZE );
        if( index % 3 == 0 )
            code = socket_iocp_issue_sync_send( port, handle, bytes[index], SIZE, bytes[index] );
        if( code == SOCKET_IOCP_E_BUSY )
            code = socket_iocp_issue_async_send( port, handle, bytes[index], SIZE, bytes[index] );
        CHECK_OK( code );
    }
    for( index = 0; index < SENDS; index++ )
    {
        read_all( ends[1], in, SIZE );
        CHECK( memcmp( in, bytes[index], SIZE ) == 0 );
    }
    for( index = 0; index < SENDS; index++ )
    {
        struct event event = await( SENT, (size_t)index + 1 );
        CHECK( event.write == bytes[index] && event.user == (void *)bytes );
        CHECK( event.completion.status == 0 && event.completion.byte_count == SIZE );
    }
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    CHECK( logged( SENT ) == SENDS );
    close_socket( ends[1] );
    forget_events();
}

static void no_bytes( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"a", 1, (void *)1 ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, NULL, 0, (void *)2 ) );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, NULL, 0, (void *)3 ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"b", 1, (void *)4 ) );
    CHECK( await( SENT, 1 ).write == (void *)1 && await( SENT, 2 ).write == (void *)2 );
    CHECK( await( SENT, 3 ).write == (void *)3 && await( SENT, 4 ).write == (void *)4 );
    CHECK( await( SENT, 2 ).completion.status == 0 && await( SENT, 2 ).completion.byte_count == 0 );
    expect_bytes( ends[1], "ab" );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

/* More than the kernel takes at once: complete when the last byte is with it, not before. */
static void many_bytes( void )
{
    static unsigned char bytes[MORE_THAN_FITS], in[65536];
    size_t index, got = 0;
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );

    for( index = 0; index < sizeof bytes; index++ )
        bytes[index] = (unsigned char)( index * 31 >> 8 );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, bytes, sizeof bytes, bytes ) );
    while( got < sizeof bytes )
    {
        if( got < sizeof bytes / 2 )
            CHECK( logged( SENT ) == 0 );
        read_all( ends[1], in, sizeof in );
        CHECK( memcmp( in, bytes + got, sizeof in ) == 0 );
        got += sizeof in;
    }
    CHECK( await( SENT, 1 ).completion.byte_count == sizeof bytes );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

int main( void )
{
    int sockets = begin_test();
    port = new_port();
    order();
    no_bytes();
    many_bytes();
    delete_port( port );
    CHECK( open_sockets() == sockets );
    return 0;
}
