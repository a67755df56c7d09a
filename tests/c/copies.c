/* Copied sends: the bytes are the caller's again when the call returns; in their turn among the other sends. */
#include "check.h"

static void *port;

/* Issues one from a place that is another's as soon as this returns. */
static void send_from_the_stack( void *handle, int number )
{
    unsigned char bytes[100];
    memset( bytes, number, sizeof bytes );
    CHECK_OK( socket_iocp_issue_copied_send( port, handle, bytes, (DWORD)number % 101, (void *)(size_t)number ) );
    memset( bytes, 0, sizeof bytes );
}

static void among_others( void )
{
    enum { SENDS = 1000 };
    static unsigned char large[MORE_THAN_FITS], in[65536];
    SOCKET ends[2];
    int number;
    size_t left;
    void *handle = add_pair( port, ends, NULL );

    /* The others wait behind it. */
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, large, sizeof large, NULL ) );
    for( number = 1; number <= SENDS; number++ )
    {
        if( number % 7 == 0 )
            CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"x", 1, (void *)(size_t)number ) );
        else
            send_from_the_stack( handle, number );
    }
    for( left = sizeof large; left > 0; left -= sizeof in )
        read_all( ends[1], in, sizeof in );
    CHECK( await( SENT, 1 ).completion.byte_count == sizeof large );
    for( number = 1; number <= SENDS; number++ )
    {
        size_t length = number % 7 == 0 ? 1 : (size_t)number % 101, index;
        struct event event = await( SENT, (size_t)number + 1 );
        CHECK( event.write == (void *)(size_t)number );
        CHECK( event.completion.status == 0 && event.completion.byte_count == length );
        read_all( ends[1], in, length );
        for( index = 0; index < length; index++ )
            CHECK( in[index] == ( number % 7 == 0 ? 'x' : (unsigned char)number ) );
    }
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

static void misuse( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_copied_send( NULL, handle, "a", 1, NULL ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_copied_send( port, NULL, "a", 1, NULL ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_copied_send( port, handle, NULL, 1, NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_issue_copied_send( port, port, "a", 1, NULL ) );
    CHECK_OK( socket_iocp_issue_copied_send( port, handle, NULL, 0, (void *)1 ) );
    CHECK_OK( socket_iocp_issue_copied_send( port, handle, "a", 1, (void *)2 ) );
    CHECK( await( SENT, 1 ).write == (void *)1 && await( SENT, 2 ).write == (void *)2 );
    expect_bytes( ends[1], "a" );
    CHECK_OK( socket_iocp_shutdown_send( port, handle ) );
    CHECK_CODE( SHUTDOWN, socket_iocp_issue_copied_send( port, handle, "b", 1, NULL ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    CHECK_CODE( CLOSED, socket_iocp_issue_copied_send( port, handle, "c", 1, NULL ) );
    CHECK( logged( SENT ) == 2 );
    close_socket( ends[1] );
    forget_events();
}

int main( void )
{
    int sockets = begin_test();
    port = new_port();
    among_others();
    misuse();
    delete_port( port );
    CHECK( open_sockets() == sockets );
    return 0;
}
