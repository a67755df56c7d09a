/* Version, texts, the backend in use, and the counters. */
#include "check.h"

static void texts( void )
{
    char version[32];
    snprintf( version, sizeof version, "%d.%d.%d", SOCKET_IOCP_VERSION_MAJOR, SOCKET_IOCP_VERSION_MINOR,
              SOCKET_IOCP_VERSION_PATCH );
    CHECK( strcmp( socket_iocp_version(), version ) == 0 );
    CHECK( strcmp( socket_iocp_strerror( 0 ), "success" ) == 0 );
    CHECK( strcmp( socket_iocp_strerror( 1 ), "unknown error code" ) == 0 );
    CHECK( strncmp( socket_iocp_strerror( SOCKET_IOCP_E_BUSY ), "SOCKET_IOCP_E_BUSY: ", 20 ) == 0 );
    CHECK( strcmp( socket_iocp_backend_name( SOCKET_IOCP_BACKEND_READINESS ), "readiness" ) == 0 );
    CHECK( strcmp( socket_iocp_backend_name( 77 ), "unknown" ) == 0 );
}

static void backend( void *port )
{
    const char *forced = getenv( "SOCKET_IOCP_BACKEND" );
    uint32_t number = 0;
    char reason[200], cut[4] = "xxx";

    CHECK_OK( socket_iocp_backend( port, &number, reason, sizeof reason ) );
    CHECK( memchr( reason, 0, sizeof reason ) != NULL );
    CHECK( strcmp( socket_iocp_backend_name( number ), "unknown" ) != 0 );
    if( forced != NULL )
        CHECK( strcmp( socket_iocp_backend_name( number ), forced ) == 0 );
    CHECK_OK( socket_iocp_backend( port, &number, cut, 2 ) );
    CHECK( strlen( cut ) <= 1 && cut[2] == 'x' );
    CHECK_OK( socket_iocp_backend( port, &number, NULL, 0 ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_backend( port, NULL, NULL, 0 ) );
}

/* What the workers have done is what the port has done. */
static void workers( void *port, const struct socket_iocp_counters *whole )
{
    struct socket_iocp_counters one;
    uint64_t recvs = 0, bytes = 0, farewells = 0, waits = 0;
    uint32_t worker;

    CHECK( whole->workers_now > 0 );
    for( worker = 0; worker < whole->workers_now; worker++ )
    {
        one.size = sizeof one;
        CHECK_OK( socket_iocp_worker_statistics( port, worker, &one ) );
        CHECK( one.workers_now == 1 && one.taken_buffers_now == 0 );
        waits += one.waits;
        recvs += one.recvs;
        bytes += one.sent_bytes;
        farewells += one.farewells;
    }
    /* A worker that has had nothing to do may not have run yet. */
    CHECK( waits > 0 );
    CHECK( recvs == whole->recvs && bytes == whole->sent_bytes && farewells == whole->farewells );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_worker_statistics( port, worker, &one ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_worker_statistics( port, UINT32_MAX, &one ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_worker_statistics( port, 0, NULL ) );
    one.size = 1;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_worker_statistics( port, 0, &one ) );
}

static void counters( void *port )
{
    struct socket_iocp_counters now;
    struct { struct socket_iocp_counters known; uint64_t later[2]; } larger;
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );

    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
    write_all( ends[1], "twelve bytes", 12 );
    await( RECEIVED, 1 );
    CHECK_OK( socket_iocp_issue_async_send( port, handle, (void *)"four", 4, NULL ) );
    await( SENT, 1 );

    now.size = sizeof now;
    CHECK_OK( socket_iocp_statistics( port, &now ) );
    CHECK( now.size == sizeof now );
    CHECK( now.sockets_now == 1 && now.listeners_now == 0 && now.taken_buffers_now == 0 );
    CHECK( now.recvs == 1 && now.received_bytes == 12 && now.sends == 1 && now.sent_bytes == 4 );
    /* What is done at once need not come as a completion of the system's. */
    CHECK( now.farewells == 0 && now.panics == 0 && now.waits > 0 );

    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    memset( &larger, 0xff, sizeof larger );
    larger.known.size = sizeof larger;
    CHECK_OK( socket_iocp_statistics( port, &larger.known ) );
    CHECK( larger.known.farewells == 1 && larger.later[0] == 0 && larger.later[1] == 0 );

    memset( &now, 0xff, sizeof now );
    now.size = offsetof( struct socket_iocp_counters, accepts );
    CHECK_OK( socket_iocp_statistics( port, &now ) );
    CHECK( now.taken_buffers_now == 0 && now.accepts == UINT64_MAX );

    workers( port, &larger.known );
    now.size = 0;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_statistics( port, &now ) );
    now.size = (size_t)-1;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_statistics( port, &now ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_statistics( port, NULL ) );
    close_socket( ends[1] );
}

int main( void )
{
    void *port;
    begin_test();
    texts();
    port = new_port();
    backend( port );
    counters( port );
    delete_port( port );
    return 0;
}
