/* Sizes and offsets of the structs, as the library has them (capi/src/abi.rs), and what the header defines. */
#include "check.h"

#define AT( type, member, offset ) CHECK( offsetof( struct type, member ) == ( offset ) )

/* A SOCKET is an int on POSIX and as large as a pointer on Windows. */
enum { AFTER_SOCKET = sizeof( SOCKET ) == 4 ? 32 : 40 };

static void structs( void )
{
    if( sizeof( void * ) != 8 )
        return;
    CHECK( sizeof( struct socket_iocp_options ) == 136 );
    AT( socket_iocp_options, size, 0 );
    AT( socket_iocp_options, threads, 8 );
    AT( socket_iocp_options, backend, 12 );
    AT( socket_iocp_options, linger_ms, 16 );
    AT( socket_iocp_options, max_queued_sends, 20 );
    AT( socket_iocp_options, max_queued_bytes, 24 );
    AT( socket_iocp_options, idle_timeout_ms, 28 );
    AT( socket_iocp_options, max_sockets, 32 );
    AT( socket_iocp_options, max_taken_buffers, 40 );
    AT( socket_iocp_options, listen_error_callback_function, 48 );
    AT( socket_iocp_options, idle_reads, 56 );
    AT( socket_iocp_options, skip_on_success, 60 );
    AT( socket_iocp_options, pin_workers, 64 );
    AT( socket_iocp_options, busy_poll_us, 68 );
    AT( socket_iocp_options, zero_copy_from, 72 );
    AT( socket_iocp_options, sqpoll_idle_ms, 76 );
    AT( socket_iocp_options, high_watermark, 80 );
    AT( socket_iocp_options, low_watermark, 84 );
    AT( socket_iocp_options, max_port_queued_bytes, 88 );
    AT( socket_iocp_options, watermark_callback_function, 96 );
    AT( socket_iocp_options, shutdown_closes_idle, 104 );
    AT( socket_iocp_options, multishot_recv, 108 );
    AT( socket_iocp_options, timer_callback_function, 112 );
    AT( socket_iocp_options, connect_callback_function, 120 );
    AT( socket_iocp_options, datagram_callback_function, 128 );

    CHECK( sizeof( struct socket_iocp_completion ) == AFTER_SOCKET + 40 );
    AT( socket_iocp_completion, size, 0 );
    AT( socket_iocp_completion, operation, 8 );
    AT( socket_iocp_completion, status, 12 );
    AT( socket_iocp_completion, os_error, 16 );
    AT( socket_iocp_completion, local_address_size, 20 );
    AT( socket_iocp_completion, remote_address_size, 24 );
    AT( socket_iocp_completion, socket, AFTER_SOCKET - sizeof( SOCKET ) );
    AT( socket_iocp_completion, socket_iocp_socket_state, AFTER_SOCKET );
    AT( socket_iocp_completion, local_address, AFTER_SOCKET + 8 );
    AT( socket_iocp_completion, remote_address, AFTER_SOCKET + 16 );
    AT( socket_iocp_completion, byte_count, AFTER_SOCKET + 24 );
    AT( socket_iocp_completion, segment_size, AFTER_SOCKET + 32 );

    CHECK( sizeof( struct socket_iocp_buffer ) == 16 );
    AT( socket_iocp_buffer, length, 8 );
    CHECK( sizeof( struct socket_iocp_ended ) == 32 );
    AT( socket_iocp_ended, finished, 8 );
    AT( socket_iocp_ended, pending, 24 );

    CHECK( sizeof( struct socket_iocp_counters ) == 224 );
    AT( socket_iocp_counters, sockets_now, 8 );
    AT( socket_iocp_counters, wakeups, 128 );
    AT( socket_iocp_counters, high_watermarks, 192 );
    AT( socket_iocp_counters, connects, 200 );
    AT( socket_iocp_counters, operation_timeouts, 216 );
}

static void initializer( void )
{
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    struct socket_iocp_options zero;
    memset( &zero, 0, sizeof zero );
    zero.size = sizeof zero;
    CHECK( memcmp( &options, &zero, sizeof zero ) == 0 );
}

int main( void )
{
    begin_test();
    CHECK( sizeof( SOCKET ) == SIZE_OF_SOCKET && INVALID_SOCKET == (SOCKET)-1 && SOCKET_ERROR == -1 );
    CHECK( sizeof( DWORD ) == 4 && (DWORD)-1 > 0 );
    structs();
    initializer();
    return 0;
}
