/* A port deleted while other threads call it: each call is done or E_CLOSED, each completion and farewell comes once. */
#include "check.h"

enum { ROUNDS = 20, THREADS = 3, SOCKETS = 8 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t sends_accepted, sends_reported, farewells;
static int threads_calling;

static void count( size_t *counter )
{
    pthread_mutex_lock( &mutex );
    ++*counter;
    pthread_cond_broadcast( &changed );
    pthread_mutex_unlock( &mutex );
}

static void not_accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    (void)socket, (void)local, (void)remote, (void)listener, (void)user;
    CHECK( !"there is no listener" );
}

static void not_received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    (void)socket, (void)read_buffer, (void)byte_count, (void)user;
    CHECK( !"nobody sends" );
}

static void count_sent( SOCKET socket, void *user, void *write )
{
    (void)socket, (void)user, (void)write;
    count( &sends_reported );
}

static void count_ended( SOCKET socket, void *user )
{
    (void)socket, (void)user;
    count( &farewells );
}

struct work
{
    void *port;
    void *handles[SOCKETS];
};

static void *call_until_closed( void *argument )
{
    struct work *work = (struct work *)argument;
    struct socket_iocp_counters counters;
    size_t index = 0;
    int code = 0;

    counters.size = sizeof counters;
    pthread_mutex_lock( &mutex );
    threads_calling++;
    pthread_cond_broadcast( &changed );
    pthread_mutex_unlock( &mutex );
    while( code != SOCKET_IOCP_E_CLOSED )
    {
        void *handle = work->handles[index++ % SOCKETS];
        code = socket_iocp_issue_recv( work->port, handle );
        CHECK( code == 0 || code == SOCKET_IOCP_E_BUSY || code == SOCKET_IOCP_E_CLOSED );
        code = socket_iocp_issue_async_send( work->port, handle, (void *)"x", 1, NULL );
        if( code == 0 )
            count( &sends_accepted );
        CHECK( code == 0 || code == SOCKET_IOCP_E_CLOSED );
        code = socket_iocp_statistics( work->port, &counters );
        CHECK( code == 0 || code == SOCKET_IOCP_E_CLOSED );
    }
    return NULL;
}

static void round_of_calls( void )
{
    struct work work;
    pthread_t threads[THREADS];
    SOCKET ends[SOCKETS][2];
    int index;

    CHECK_OK( socket_iocp_new( &work.port, 4096, not_accepted, not_received, count_sent, count_ended ) );
    for( index = 0; index < SOCKETS; index++ )
        work.handles[index] = add_pair( work.port, ends[index], NULL );
    for( index = 0; index < THREADS; index++ )
        CHECK( pthread_create( &threads[index], NULL, call_until_closed, &work ) == 0 );
    pthread_mutex_lock( &mutex );
    while( threads_calling < THREADS || sends_accepted < 100 )
        pthread_cond_wait( &changed, &mutex );
    pthread_mutex_unlock( &mutex );
    socket_iocp_delete( work.port );

    /* All that was promised has happened by now; what the threads still count was accepted before. */
    for( index = 0; index < THREADS; index++ )
        CHECK( pthread_join( threads[index], NULL ) == 0 );
    CHECK( sends_reported == sends_accepted );
    CHECK( farewells == SOCKETS );
    for( index = 0; index < SOCKETS; index++ )
    {
        CHECK( !is_open( ends[index][0] ) );
        close_socket( ends[index][1] );
    }
    sends_accepted = sends_reported = farewells = 0;
    threads_calling = 0;
}

int main( void )
{
    int sockets = begin_test(), index;
    for( index = 0; index < ROUNDS; index++ )
        round_of_calls();
    CHECK( open_sockets() == sockets );
    return 0;
}
