/* An echo server that copies nothing: the read buffer is sent back from where it lies. Many clients, whole bytes. */
#include "check.h"

enum { CLIENTS = 20, ROUNDS = 100, LISTENER = 1 };

static void *port;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int farewells;
static int users[CLIENTS], users_given;

static void echo_accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    void *handle = socket_iocp_find_socket( port, socket );
    CHECK( handle != NULL );
    CHECK( (uintptr_t)listener == LISTENER );
    CHECK( local->sa_family == AF_INET && remote->sa_family == AF_INET );
    pthread_mutex_lock( &mutex );
    CHECK( users_given < CLIENTS );
    *user = &users[users_given++];
    pthread_mutex_unlock( &mutex );
    CHECK_OK( socket_iocp_issue_recv( port, handle ) );
}

static void echo_received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    void *handle = socket_iocp_find_socket( port, socket );
    CHECK( (int *)user >= users && (int *)user < users + CLIENTS );
    if( byte_count == 0 )
        CHECK_OK( socket_iocp_close_socket( port, handle ) );
    else
        CHECK_OK( socket_iocp_issue_sync_send( port, handle, read_buffer, byte_count, read_buffer ) );
}

static void echo_sent( SOCKET socket, void *user, void *write )
{
    CHECK( write != NULL );
    ++*(int *)user;
    CHECK_OK( socket_iocp_issue_recv( port, socket_iocp_find_socket( port, socket ) ) );
}

static void echo_ended( SOCKET socket, void *user )
{
    struct socket_iocp_completion completion;
    (void)socket;
    completion.size = sizeof completion;
    CHECK_OK( socket_iocp_result( port, &completion ) );
    CHECK_OK( completion.status );
    CHECK( *(int *)user >= ROUNDS );
    pthread_mutex_lock( &mutex );
    farewells++;
    pthread_cond_broadcast( &changed );
    pthread_mutex_unlock( &mutex );
}

static void exchange( const SOCKET *clients )
{
    char out[1000], in[1000];
    int round, client;
    for( round = 0; round < ROUNDS; round++ )
    {
        size_t size = 1 + (size_t)( round * 7919 ) % sizeof out;
        for( client = 0; client < CLIENTS; client++ )
        {
            memset( out, client + round, size );
            write_all( clients[client], out, size );
        }
        for( client = 0; client < CLIENTS; client++ )
        {
            memset( out, client + round, size );
            read_all( clients[client], in, size );
            CHECK( memcmp( in, out, size ) == 0 );
        }
    }
}

int main( void )
{
    int sockets = begin_test(), client;
    struct sockaddr_in address;
    SOCKET clients[CLIENTS], listener = listen_on_loopback( &address );

    CHECK_OK( socket_iocp_new( &port, 4096, echo_accepted, echo_received, echo_sent, echo_ended ) );
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 4, (void *)LISTENER ) );
    for( client = 0; client < CLIENTS; client++ )
        clients[client] = connect_to( &address );
    exchange( clients );
    for( client = 0; client < CLIENTS; client++ )
    {
        CHECK( shutdown( clients[client], SENDING ) == 0 );
        expect_end( clients[client] );
        close_socket( clients[client] );
    }
    pthread_mutex_lock( &mutex );
    while( farewells < CLIENTS )
        pthread_cond_wait( &changed, &mutex );
    pthread_mutex_unlock( &mutex );
    socket_iocp_delete( port );
    CHECK( farewells == CLIENTS );
    CHECK( open_sockets() == sockets );
    return 0;
}
