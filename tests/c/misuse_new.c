/* What a port cannot be made with. Every refusal leaves the caller's variable and the process as they were. */
#include "check.h"

static void *untouched = &untouched;
static void *port;

#define NEW( size, options ) socket_iocp_new_with_options( &port, size, accepted, received, sent, ended, options )

static void pointers( void )
{
    CHECK_CODE( NULL_POINTER, socket_iocp_new( NULL, 4096, accepted, received, sent, ended ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_new( &port, 4096, NULL, received, sent, ended ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_new( &port, 4096, accepted, NULL, sent, ended ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_new( &port, 4096, accepted, received, NULL, ended ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_new( &port, 4096, accepted, received, sent, NULL ) );
}

static void sizes( void )
{
    size_t gibibyte = (size_t)1 << 30;
    CHECK_CODE( BUFFER_SIZE, socket_iocp_new( &port, 0, accepted, received, sent, ended ) );
    CHECK_CODE( BUFFER_SIZE, socket_iocp_new( &port, gibibyte + 1, accepted, received, sent, ended ) );
    CHECK_CODE( BUFFER_SIZE, socket_iocp_new( &port, (size_t)-1, accepted, received, sent, ended ) );
    CHECK_CODE( BUFFER_SIZE, NEW( 0, NULL ) );
}

static void options( void )
{
    static const int32_t wrong_threads[] = { -2, 1025, INT32_MIN, INT32_MAX };
    static const uint32_t wrong_backends[] = { 4, 5, UINT32_MAX };
    static const uint32_t wrong_switches[] = { 3, UINT32_MAX };
    static const size_t wrong_sizes[] = { 0, 1, sizeof( size_t ) - 1, 4097, (size_t)-1 };
    struct socket_iocp_options wrong;
    size_t index;

    for( index = 0; index < sizeof wrong_threads / sizeof *wrong_threads; index++ )
    {
        wrong = default_options();
        wrong.threads = wrong_threads[index];
        CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
    }
    for( index = 0; index < sizeof wrong_backends / sizeof *wrong_backends; index++ )
    {
        wrong = default_options();
        wrong.backend = wrong_backends[index];
        CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
    }
    for( index = 0; index < sizeof wrong_switches / sizeof *wrong_switches; index++ )
    {
        wrong = default_options();
        wrong.idle_reads = wrong_switches[index];
        CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
        wrong = default_options();
        wrong.skip_on_success = wrong_switches[index];
        CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
        wrong = default_options();
        wrong.pin_workers = wrong_switches[index];
        CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
    }
    for( index = 0; index < sizeof wrong_sizes / sizeof *wrong_sizes; index++ )
    {
        wrong = default_options();
        wrong.size = wrong_sizes[index];
        CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
    }
    wrong = default_options();
    wrong.linger_ms = 24 * 60 * 60 * 1000 + 1;
    CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
    wrong.linger_ms = UINT32_MAX;
    CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
    wrong = default_options();
    wrong.idle_timeout_ms = 7 * 24 * 60 * 60 * 1000 + 1;
    CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
    wrong = default_options();
    wrong.busy_poll_us = 1000 * 1000 + 1;
    CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
    wrong = default_options();
    wrong.sqpoll_idle_ms = 60 * 1000 + 1;
    CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
    wrong = default_options();
    wrong.multishot_recv = SOCKET_IOCP_SWITCH_OFF + 1;
    CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &wrong ) );
}

/* A struct of a later header is understood as far as it says nothing new. */
static void larger_and_smaller_options( void )
{
    struct { struct socket_iocp_options known; uint64_t later[2]; } larger;
    struct socket_iocp_options smaller;

    memset( &larger, 0, sizeof larger );
    larger.known.size = sizeof larger;
    larger.later[1] = 1;
    CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, &larger.known ) );
    CHECK( port == untouched );
    larger.later[1] = 0;
    CHECK_OK( NEW( 4096, &larger.known ) );
    socket_iocp_delete( port );

    memset( &smaller, 0xff, sizeof smaller );
    smaller.threads = 1;
    smaller.size = offsetof( struct socket_iocp_options, backend );
    CHECK_OK( NEW( 4096, &smaller ) );
    socket_iocp_delete( port );
    smaller.size = sizeof( size_t );
    CHECK_OK( NEW( 4096, &smaller ) );
    socket_iocp_delete( port );
    port = untouched;
}

static void environment( void )
{
    const char *backend = getenv( "SOCKET_IOCP_BACKEND" );
    char *forced = backend == NULL ? NULL : strdup( backend );
    struct socket_iocp_options foreign = SOCKET_IOCP_OPTIONS_INIT;

    CHECK( set_variable( "SOCKET_IOCP_THREADS", "0" ) );
    CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, NULL ) );
    CHECK( set_variable( "SOCKET_IOCP_THREADS", "many" ) );
    CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, NULL ) );
    CHECK( set_variable( "SOCKET_IOCP_THREADS", "1025" ) );
    CHECK_CODE( INVALID_ARGUMENT, NEW( 4096, NULL ) );
    CHECK( set_variable( "SOCKET_IOCP_THREADS", NULL ) );

    CHECK( set_variable( "SOCKET_IOCP_BACKEND", socket_iocp_backend_name( FOREIGN_BACKEND ) ) );
    CHECK_CODE( BACKEND_UNAVAILABLE, NEW( 4096, NULL ) );
    CHECK( set_variable( "SOCKET_IOCP_BACKEND", "steam" ) );
    CHECK_CODE( BACKEND_UNAVAILABLE, NEW( 4096, NULL ) );
    CHECK( set_variable( "SOCKET_IOCP_BACKEND", NULL ) );
    foreign.backend = FOREIGN_BACKEND;
    CHECK_CODE( BACKEND_UNAVAILABLE, NEW( 4096, &foreign ) );
    if( forced != NULL )
        CHECK( set_variable( "SOCKET_IOCP_BACKEND", forced ) );
    free( forced );
}

int main( void )
{
    int sockets = begin_test();
    port = untouched;
    pointers();
    sizes();
    options();
    CHECK( port == untouched );
    larger_and_smaller_options();
    environment();
    CHECK( port == untouched );
    CHECK( open_sockets() == sockets );
    return 0;
}
