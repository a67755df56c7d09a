/*
 * The library stays where it is once it has been loaded and used, whoever lets go of it: a port that is deleted in a callback
 * finishes on its own threads, which nobody waits for.
 *
 * This program loads the library by itself. Linked with the static one, of which it uses nothing, it is alone in that.
 */
#include "check.h"

static __typeof__( &socket_iocp_new ) call_new;
static __typeof__( &socket_iocp_delete ) call_delete;
static __typeof__( &socket_iocp_strerror ) call_strerror;

#define FIND( call ) CHECK( find_function( "socket_iocp_" #call, &call_##call, sizeof call_##call ) )

/* On a thread of its own: what the library keeps for a thread would hold it as long as that. */
static void *use( void *argument )
{
    void *port;
    CHECK( call_new( &port, 4096, accepted, received, sent, ended ) == 0 );
    call_delete( port );
    return argument;
}

int main( void )
{
    pthread_t thread;
    begin_test();
    CHECK( load_library( LIBRARY ) );
    FIND( new );
    FIND( delete );
    FIND( strerror );
    CHECK( pthread_create( &thread, NULL, use, NULL ) == 0 );
    CHECK( pthread_join( thread, NULL ) == 0 );
    CHECK( unload_library() );
    CHECK( is_loaded( LIBRARY ) );
    CHECK( strcmp( call_strerror( 0 ), "success" ) == 0 );
    return 0;
}
