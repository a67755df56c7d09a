/* Datagram sockets: their callback, sends with and without an address, errors that end nothing. */
#include "check.h"

static void *port;
static char user[2];

/* ---- the datagram callback, and what it was called with ---- */

static size_t datagram_count;
static struct sockaddr_in last_sender;
static char last_bytes[64];
static DWORD last_length;
static int last_truncated, last_status, answers;

static void datagram( SOCKET socket, void *read_buffer, DWORD byte_count, struct sockaddr *sender, int truncated, void *state )
{
    void *handle = socket_iocp_find_socket( port, socket );
    struct socket_iocp_completion completion;
    memset( &completion, 0, sizeof completion );
    completion.size = sizeof completion;
    CHECK_OK( socket_iocp_result( port, &completion ) );
    CHECK( completion.operation == SOCKET_IOCP_OPERATION_RECV && completion.socket == socket );
    CHECK( completion.byte_count == byte_count && completion.segment_size == 0 && state == (void *)user );
    CHECK( completion.socket_iocp_socket_state == handle );
    CHECK( ( read_buffer == NULL ) == ( byte_count == 0 ) && ( sender == NULL ) == ( completion.status != 0 ) );
    if( sender != NULL )
    {
        CHECK( completion.remote_address_size == sizeof last_sender );
        CHECK( memcmp( completion.remote_address, sender, sizeof last_sender ) == 0 );
    }
    if( sender != NULL && answers )
    {
        /* From where it lies, to where it came from: nothing is copied. */
        CHECK_OK( socket_iocp_issue_sync_send_to( port, handle, read_buffer, byte_count, sender, sizeof last_sender, NULL ) );
        CHECK_CODE( BUSY, socket_iocp_issue_sync_send_to( port, handle, read_buffer, byte_count, sender, sizeof last_sender, NULL ) );
    }
    pthread_mutex_lock( &log_mutex );
    if( sender != NULL )
        memcpy( &last_sender, sender, sizeof last_sender );
    if( byte_count > 0 && byte_count <= sizeof last_bytes )
        memcpy( last_bytes, read_buffer, byte_count );
    last_length = byte_count;
    last_truncated = truncated;
    last_status = completion.status;
    datagram_count++;
    pthread_cond_broadcast( &log_changed );
    pthread_mutex_unlock( &log_mutex );
}

static void expect_datagrams( size_t count )
{
    pthread_mutex_lock( &log_mutex );
    while( datagram_count < count )
        pthread_cond_wait( &log_changed, &log_mutex );
    CHECK( datagram_count == count );
    datagram_count = 0;
    pthread_mutex_unlock( &log_mutex );
}

/* ---- sockets ---- */

static SOCKET udp_socket( struct sockaddr_in *address )
{
    socklen_t size = sizeof *address;
    SOCKET fresh = socket( AF_INET, SOCK_DGRAM, 0 );
    CHECK( fresh != INVALID_SOCKET );
    memset( address, 0, sizeof *address );
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl( INADDR_LOOPBACK );
    CHECK( bind( fresh, (struct sockaddr *)address, sizeof *address ) == 0 );
    CHECK( getsockname( fresh, (struct sockaddr *)address, &size ) == 0 );
    return fresh;
}

static void *add( SOCKET socket )
{
    void *handle;
    CHECK_OK( socket_iocp_add_datagram_socket( port, socket, user ) );
    handle = socket_iocp_find_socket( port, socket );
    CHECK( handle != NULL );
    return handle;
}

static void send_from( SOCKET from, const char *bytes, size_t length, const struct sockaddr_in *to )
{
    CHECK( sendto( from, bytes, (byte_count_t)length, 0, (const struct sockaddr *)to, sizeof *to ) == (int)length );
}

static void expect_from( SOCKET at, const char *text, const struct sockaddr_in *from )
{
    struct sockaddr_in sender;
    socklen_t size = sizeof sender;
    char bytes[64];
    int length = (int)recvfrom( at, bytes, sizeof bytes, 0, (struct sockaddr *)&sender, &size );
    CHECK( length == (int)strlen( text ) && memcmp( bytes, text, strlen( text ) ) == 0 );
    CHECK( sender.sin_port == from->sin_port );
}

/* ---- the tests ---- */

#define SEND_TO( call, text, to ) \
    socket_iocp_issue_##call##_send_to( port, handle, text, (DWORD)strlen( text ), (const struct sockaddr *)( to ), sizeof *( to ), NULL )

static void receives( void )
{
    static char longer[5000];
    struct sockaddr_in here, there;
    SOCKET socket = udp_socket( &here ), other = udp_socket( &there );
    void *handle = add( socket ), *taken;
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_CODE( BUSY, socket_iocp_issue_recv( port, handle ) );
    send_from( other, "hello", 5, &here );
    expect_datagrams( 1 );
    CHECK( last_length == 5 && memcmp( last_bytes, "hello", 5 ) == 0 && !last_truncated && last_status == 0 );
    CHECK( last_sender.sin_port == there.sin_port && last_sender.sin_addr.s_addr == there.sin_addr.s_addr );
    CHECK_CODE( WRONG_CONTEXT, socket_iocp_take_buffer( port, handle, &taken ) );
    /* One of no bytes is no end. */
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    send_from( other, "", 0, &here );
    expect_datagrams( 1 );
    CHECK( last_length == 0 && last_status == 0 );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    send_from( other, longer, sizeof longer, &here );
    expect_datagrams( 1 );
    CHECK( last_length == READ_BUFFER_SIZE && last_truncated == 1 && last_status == 0 );
    CHECK_OK( socket_iocp_issue_recv_with_timeout( port, handle, 20 ) );
    expect_datagrams( 1 );
    CHECK( last_length == 0 && last_status == SOCKET_IOCP_E_TIMED_OUT );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    CHECK_OK( socket_iocp_cancel_recv( port, handle ) );
    expect_datagrams( 1 );
    CHECK( last_length == 0 && last_status == SOCKET_IOCP_E_CANCELLED );
    CHECK_CODE( NOT_STREAM, socket_iocp_shutdown_send( port, handle ) );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == 0 );
    close_socket( other );
    forget_events();
}

static void sends( void )
{
    static char first[] = "first", second[] = "second", third[] = "third", empty[] = "";
    struct sockaddr_in here, there;
    SOCKET socket = udp_socket( &here ), other = udp_socket( &there );
    void *handle;
    CHECK( connect( socket, (struct sockaddr *)&there, sizeof there ) == 0 );
    handle = add( socket );
    CHECK_OK( SEND_TO( async, first, &there ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, second, 6, NULL ) );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, NULL, 0, NULL ) );
    CHECK_OK( SEND_TO( sync, third, &there ) );
    expect_from( other, "first", &here );
    expect_from( other, "second", &here );
    expect_from( other, empty, &here );
    expect_from( other, "third", &here );
    CHECK( await( SENT, 4 ).completion.status == 0 );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    close_socket( other );
    forget_events();
}

static void echoes( void )
{
    struct sockaddr_in here, there;
    SOCKET socket = udp_socket( &here ), other = udp_socket( &there );
    void *handle = add( socket );
    size_t round;
    answers = 1;
    for( round = 1; round <= 10; round++ )
    {
        CHECK_OK( socket_iocp_issue_recv( port, handle ) );
        send_from( other, "echo", 4, &here );
        expect_from( other, "echo", &here );
        CHECK( await( SENT, round ).completion.status == 0 );
        expect_datagrams( 1 );
    }
    answers = 0;
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == 0 );
    close_socket( other );
    forget_events();
}

/* Three datagrams in one send, where the system cuts them; with UDP_GRO they come together again. */
static void segments( void )
{
    static char bytes[] = "onetwothree";
    struct sockaddr_in here, there;
    SOCKET socket = udp_socket( &here ), other = udp_socket( &there );
    void *handle = add( socket );
    int code = socket_iocp_issue_segmented_send_to( port, handle, bytes, 11, 3, (struct sockaddr *)&there, sizeof there, NULL );
#ifdef __linux__
    CHECK_OK( code );
    CHECK( await( SENT, 1 ).completion.status == 0 && await( SENT, 1 ).completion.byte_count == 11 );
    expect_from( other, "one", &here );
    expect_from( other, "two", &here );
    expect_from( other, "thr", &here );
    expect_from( other, "ee", &here );
#else
    CHECK_CODE( UNSUPPORTED, code );
#endif
    code = socket_iocp_issue_segmented_send_to( port, handle, bytes, 11, 0, (struct sockaddr *)&there, sizeof there, NULL );
    CHECK_CODE( INVALID_ARGUMENT, code );
    code = socket_iocp_issue_segmented_send_to( port, handle, bytes, 11, 65536, (struct sockaddr *)&there, sizeof there, NULL );
    CHECK_CODE( INVALID_ARGUMENT, code );
    CHECK_OK( socket_iocp_close_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == 0 );
    close_socket( other );
    forget_events();
}

static void fails( void )
{
    static char huge[70000], lost[] = "lost", found[] = "found";
    struct sockaddr_in here, there;
    SOCKET socket = udp_socket( &here ), other = udp_socket( &there );
    void *handle = add( socket );
    const struct sockaddr *to = (const struct sockaddr *)&there;
    CHECK_OK( socket_iocp_issue_async_send_to( port, handle, huge, sizeof huge, to, sizeof there, NULL ) );
    CHECK( await( SENT, 1 ).completion.status == SOCKET_IOCP_E_MESSAGE_SIZE );
    CHECK( await( SENT, 1 ).completion.os_error != 0 && await( SENT, 1 ).completion.byte_count == 0 );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, lost, 4, NULL ) );
    CHECK( await( SENT, 2 ).completion.status == SOCKET_IOCP_E_NOT_CONNECTED );
    CHECK_OK( SEND_TO( sync, found, &there ) );
    expect_from( other, "found", &here );
    CHECK( await( SENT, 3 ).completion.status == 0 );
    CHECK_OK( socket_iocp_remove_socket( port, handle ) );
    CHECK( await( ENDED, 1 ).completion.status == 0 );
    /* It is the program's again, and works. */
    send_from( socket, "mine", 4, &there );
    expect_from( other, "mine", &here );
    close_socket( socket );
    close_socket( other );
    forget_events();
}

static void is_refused( void )
{
    static char text[] = "text";
    struct sockaddr_in here, there;
    const struct sockaddr *to = (const struct sockaddr *)&there;
    SOCKET socket = udp_socket( &here ), other = udp_socket( &there ), ends[2];
    void *handle, *without = new_port(), *stream;
    tcp_pair( ends );
    CHECK_CODE( NOT_DATAGRAM, socket_iocp_add_datagram_socket( port, ends[0], user ) );
    CHECK_CODE( NOT_STREAM, socket_iocp_add_connected_socket( port, socket, user ) );
    CHECK_CODE( BAD_SOCKET, socket_iocp_add_datagram_socket( port, INVALID_SOCKET, user ) );
    CHECK_CODE( UNSUPPORTED, socket_iocp_add_datagram_socket( without, socket, user ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_add_datagram_socket( NULL, socket, user ) );
    handle = add( socket );
    CHECK_CODE( ALREADY_ADDED, socket_iocp_add_datagram_socket( port, socket, user ) );
#define TO( handle, data, address, size ) socket_iocp_issue_async_send_to( port, handle, data, 4, address, size, NULL )
    CHECK_CODE( NULL_POINTER, TO( handle, text, NULL, sizeof there ) );
    CHECK_CODE( NULL_POINTER, TO( handle, NULL, to, sizeof there ) );
    CHECK_CODE( INVALID_ARGUMENT, TO( handle, text, to, 1 ) );
    CHECK_CODE( INVALID_ARGUMENT, TO( handle, text, to, 4 ) );
    CHECK_CODE( INVALID_ARGUMENT, TO( handle, text, to, 4096 ) );
    CHECK_OK( socket_iocp_add_connected_socket( port, ends[0], user ) );
    stream = socket_iocp_find_socket( port, ends[0] );
    CHECK_CODE( NOT_DATAGRAM, TO( stream, text, to, sizeof there ) );
    CHECK_CODE( NOT_DATAGRAM, socket_iocp_issue_sync_send_to( port, stream, text, 4, to, sizeof there, NULL ) );
    CHECK_CODE( WRONG_PORT, socket_iocp_issue_sync_send_to( without, stream, text, 4, to, sizeof there, NULL ) );
    CHECK_OK( socket_iocp_abort_socket( port, stream ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 2 );
    CHECK_CODE( CLOSED, TO( handle, text, to, sizeof there ) );
    delete_port( without );
    close_socket( ends[1] );
    close_socket( other );
    forget_events();
}

int main( void )
{
    struct socket_iocp_options options;
    int before = begin_test();
    options = default_options();
    options.datagram_callback_function = datagram;
    port = new_port_with( &options );
    receives();
    sends();
    echoes();
    segments();
    fails();
    is_refused();
    delete_port( port );
    CHECK( open_sockets() == before );
    return 0;
}
