/* Vectored sends: several buffers are one send, one completion, and nothing comes between them. */
#include "check.h"

static void *port;

/* The array of descriptions is another's as soon as this returns. */
static void send_two( void *handle, const void *head, size_t head_length, const void *body, size_t body_length, void *write )
{
    struct socket_iocp_buffer buffers[2];
    buffers[0].data = head, buffers[0].length = head_length;
    buffers[1].data = body, buffers[1].length = body_length;
    CHECK_OK( socket_iocp_issue_vectored_send( port, handle, buffers, 2, write ) );
    memset( buffers, 0, sizeof buffers );
}

static void among_others( void )
{
    enum { SENDS = 500 };
    static char heads[SENDS][8];
    SOCKET ends[2];
    int number;
    void *handle = add_pair( port, ends, NULL );
    for( number = 0; number < SENDS; number++ )
    {
        sprintf( heads[number], "%04d: ", number );
        send_two( handle, heads[number], 6, "body", 4, heads[number] );
        CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"\n", 1, NULL ) );
    }
    for( number = 0; number < SENDS; number++ )
    {
        char line[16];
        struct event event = await( SENT, 2 * (size_t)number + 1 );
        CHECK( event.write == heads[number] && event.completion.status == 0 && event.completion.byte_count == 10 );
        CHECK( await( SENT, 2 * (size_t)number + 2 ).completion.byte_count == 1 );
        sprintf( line, "%04d: body\n", number );
        expect_bytes( ends[1], line );
    }
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

/* More than the kernel takes at once. */
static void many_bytes( void )
{
    static unsigned char bytes[MORE_THAN_FITS], in[65536];
    struct socket_iocp_buffer buffers[SOCKET_IOCP_MAX_BUFFERS];
    size_t index, got;
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    for( index = 0; index < sizeof bytes; index++ )
        bytes[index] = (unsigned char)( index * 31 >> 8 );
    for( index = 0; index < SOCKET_IOCP_MAX_BUFFERS; index++ )
    {
        buffers[index].length = sizeof bytes / SOCKET_IOCP_MAX_BUFFERS;
        buffers[index].data = bytes + index * buffers[index].length;
    }
    CHECK_OK( socket_iocp_issue_vectored_send( port, handle, buffers, SOCKET_IOCP_MAX_BUFFERS, bytes ) );
    for( got = 0; got < sizeof bytes; got += sizeof in )
    {
        read_all( ends[1], in, sizeof in );
        CHECK( memcmp( in, bytes + got, sizeof in ) == 0 );
    }
    CHECK( await( SENT, 1 ).write == bytes && await( SENT, 1 ).completion.byte_count == sizeof bytes );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

static void misuse( void )
{
    struct socket_iocp_buffer buffers[SOCKET_IOCP_MAX_BUFFERS + 1];
    size_t index;
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    for( index = 0; index <= SOCKET_IOCP_MAX_BUFFERS; index++ )
        buffers[index].data = "a", buffers[index].length = 1;
    CHECK_CODE( INVALID_ARGUMENT,
                socket_iocp_issue_vectored_send( port, handle, buffers, SOCKET_IOCP_MAX_BUFFERS + 1, NULL ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_vectored_send( port, handle, NULL, (DWORD)-1, NULL ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_vectored_send( port, handle, NULL, 1, NULL ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_vectored_send( port, NULL, buffers, 1, NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_issue_vectored_send( port, port, buffers, 1, NULL ) );
    buffers[1].data = NULL;
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_vectored_send( port, handle, buffers, 2, NULL ) );
    buffers[2].length = (size_t)-1;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_vectored_send( port, handle, buffers + 2, 1, NULL ) );
    buffers[2].length = (size_t)PTRDIFF_MAX;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_vectored_send( port, handle, buffers + 2, 2, NULL ) );
    buffers[2].length = 1;

    buffers[1].length = 0;
    CHECK_OK( socket_iocp_issue_vectored_send( port, handle, NULL, 0, (void *)1 ) );
    CHECK_OK( socket_iocp_issue_vectored_send( port, handle, buffers, 3, (void *)2 ) );
    CHECK_OK( socket_iocp_issue_vectored_send( port, handle, buffers + 1, 1, (void *)3 ) );
    for( index = 1; index <= 3; index++ )
        CHECK( await( SENT, index ).write == (void *)index );
    expect_bytes( ends[1], "aa" );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    CHECK_CODE( CLOSED, socket_iocp_issue_vectored_send( port, handle, buffers, 1, NULL ) );
    CHECK( logged( SENT ) == 3 );
    close_socket( ends[1] );
    forget_events();
}

int main( void )
{
    int sockets = begin_test();
    port = new_port();
    among_others();
    many_bytes();
    misuse();
    delete_port( port );
    CHECK( open_sockets() == sockets );
    return 0;
}
