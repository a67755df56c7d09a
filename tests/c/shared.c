/* Shared sends: one memory for many sends, released once, when its creator and the last send have let go of it. */
#include "check.h"

enum { MEMBERS = 8, MESSAGES = 200, LENGTH = 100 };

static void *port;
static pthread_mutex_t release_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static int releases;
static void *last_released;

static void count_release( void *state )
{
    pthread_mutex_lock( &release_mutex );
    releases++;
    last_released = state;
    pthread_cond_broadcast( &released );
    pthread_mutex_unlock( &release_mutex );
}

static int releases_now( void )
{
    int now;
    pthread_mutex_lock( &release_mutex );
    now = releases;
    pthread_mutex_unlock( &release_mutex );
    return now;
}

static void await_releases( int count )
{
    pthread_mutex_lock( &release_mutex );
    while( releases < count )
        pthread_cond_wait( &released, &release_mutex );
    CHECK( releases == count );
    releases = 0;
    pthread_mutex_unlock( &release_mutex );
}

static void free_and_count( void *state )
{
    /* Whoever still used it would see that. */
    memset( state, 0, LENGTH );
    free( state );
    count_release( NULL );
}

/* Each message is freed by its release, while the members of two ports still read others. */
static void fan_out( void )
{
    SOCKET ends[MEMBERS][2];
    void *ports[2], *handles[MEMBERS], *shared;
    int member, message;
    char in[LENGTH];
    ports[0] = port;
    ports[1] = new_port();
    for( member = 0; member < MEMBERS; member++ )
        handles[member] = add_pair( ports[member % 2], ends[member], NULL );
    for( message = 0; message < MESSAGES; message++ )
    {
        char *bytes = malloc( LENGTH );
        CHECK( bytes != NULL );
        memset( bytes, message, LENGTH );
        CHECK_OK( socket_iocp_share_buffer( bytes, LENGTH, free_and_count, bytes, &shared ) );
        for( member = 0; member < MEMBERS; member++ )
            CHECK_OK( socket_iocp_issue_shared_send( ports[member % 2], handles[member], shared, (size_t)member,
                                                     LENGTH - (size_t)member, NULL ) );
        CHECK_OK( socket_iocp_release_shared( shared ) );
    }
    for( message = 0; message < MESSAGES; message++ )
        for( member = 0; member < MEMBERS; member++ )
        {
            int index;
            read_all( ends[member][1], in, LENGTH - (size_t)member );
            for( index = 0; index < LENGTH - member; index++ )
                CHECK( in[index] == (char)message );
        }
    await_releases( MESSAGES );
    CHECK( logged( SENT ) <= MEMBERS * MESSAGES );
    await( SENT, MEMBERS * MESSAGES );
    delete_port( ports[1] );
    for( member = 0; member < MEMBERS; member++ )
    {
        if( member % 2 == 0 )
            CHECK_OK( socket_iocp_abort_socket( port, handles[member] ) );
        close_socket( ends[member][1] );
    }
    await( ENDED, MEMBERS );
    forget_events();
}

/* Not before the creator has let go, not before the last send is reported, and then once. */
static void when_it_is_released( void )
{
    static unsigned char large[MORE_THAN_FITS], in[65536];
    SOCKET ends[2];
    size_t left;
    void *shared, *handle = add_pair( port, ends, NULL );

    CHECK_OK( socket_iocp_share_buffer( "ab", 2, count_release, ends, &shared ) );
    CHECK_OK( socket_iocp_issue_shared_send( port, handle, shared, 1, 1, NULL ) );
    expect_bytes( ends[1], "b" );
    await( SENT, 1 );
    CHECK_OK( socket_iocp_issue_shared_send( port, handle, shared, 0, 2, NULL ) );
    expect_bytes( ends[1], "ab" );
    await( SENT, 2 );
    CHECK( releases_now() == 0 );
    CHECK_OK( socket_iocp_release_shared( shared ) );
    await_releases( 1 );
    CHECK( last_released == ends );

    CHECK_OK( socket_iocp_share_buffer( large, sizeof large, count_release, large, &shared ) );
    CHECK_OK( socket_iocp_issue_shared_send( port, handle, shared, 0, sizeof large, large ) );
    CHECK_OK( socket_iocp_release_shared( shared ) );
    CHECK_CODE( CLOSED, socket_iocp_issue_shared_send( port, handle, shared, 0, 1, NULL ) );
    CHECK( releases_now() == 0 );
    for( left = sizeof large; left > 0; left -= sizeof in )
        read_all( ends[1], in, sizeof in );
    await_releases( 1 );
    CHECK( await( SENT, 3 ).write == large && await( SENT, 3 ).completion.byte_count == sizeof large );

    /* Also where it never gets on its way. */
    CHECK_OK( socket_iocp_share_buffer( large, sizeof large, count_release, NULL, &shared ) );
    CHECK_OK( socket_iocp_issue_shared_send( port, handle, shared, 0, sizeof large, NULL ) );
    CHECK_OK( socket_iocp_issue_shared_send( port, handle, shared, 0, 1, NULL ) );
    CHECK_OK( socket_iocp_release_shared( shared ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    CHECK( await( SENT, 5 ).completion.status == SOCKET_IOCP_E_CANCELLED );
    await_releases( 1 );
    close_socket( ends[1] );
    forget_events();
}

/* A callback lets go of what it sends. */
static void *to_let_go;

static void let_go( struct event *event )
{
    (void)event;
    CHECK_OK( socket_iocp_release_shared( to_let_go ) );
    CHECK( releases_now() == 0 );
}

static void released_in_its_own_callback( void )
{
    SOCKET ends[2];
    void *handle = add_pair( port, ends, NULL );
    CHECK_OK( socket_iocp_share_buffer( "c", 1, count_release, NULL, &to_let_go ) );
    test_hooks[SENT] = let_go;
    CHECK_OK( socket_iocp_issue_shared_send( port, handle, to_let_go, 0, 1, NULL ) );
    expect_bytes( ends[1], "c" );
    await_releases( 1 );
    await( SENT, 1 );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    close_socket( ends[1] );
    forget_events();
}

static void misuse( void )
{
    SOCKET ends[2];
    void *shared = NULL, *handle = add_pair( port, ends, NULL );
    CHECK_CODE( NULL_POINTER, socket_iocp_share_buffer( NULL, 1, count_release, NULL, &shared ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_share_buffer( "a", 1, count_release, NULL, NULL ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_share_buffer( "a", (size_t)-1, count_release, NULL, &shared ) );
    CHECK( shared == NULL );
    CHECK_OK( socket_iocp_share_buffer( "abc", 3, NULL, NULL, &shared ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_shared_send( port, handle, shared, 0, 4, NULL ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_shared_send( port, handle, shared, 4, 0, NULL ) );
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_issue_shared_send( port, handle, shared, 3, (size_t)-1, NULL ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_shared_send( port, handle, NULL, 0, 1, NULL ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_issue_shared_send( port, NULL, shared, 0, 1, NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_issue_shared_send( port, handle, (char *)shared - 1, 0, 1, NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_issue_shared_send( port, handle, handle, 0, 1, NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_issue_shared_send( port, handle, port, 0, 1, NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_issue_shared_send( shared, handle, shared, 0, 1, NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_issue_shared_send( port, shared, shared, 0, 1, NULL ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_release_shared( NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_release_shared( handle ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_release_shared( ends ) );

    CHECK_OK( socket_iocp_issue_shared_send( port, handle, shared, 3, 0, (void *)1 ) );
    CHECK_OK( socket_iocp_issue_shared_send( port, handle, shared, 2, 1, (void *)2 ) );
    CHECK( await( SENT, 1 ).write == (void *)1 && await( SENT, 2 ).write == (void *)2 );
    expect_bytes( ends[1], "c" );
    CHECK_OK( socket_iocp_release_shared( shared ) );
    CHECK_CODE( CLOSED, socket_iocp_release_shared( shared ) );
    CHECK_OK( socket_iocp_share_buffer( NULL, 0, count_release, NULL, &shared ) );
    CHECK_OK( socket_iocp_abort_socket( port, handle ) );
    await( ENDED, 1 );
    CHECK_CODE( CLOSED, socket_iocp_issue_shared_send( port, handle, shared, 0, 0, NULL ) );
    CHECK( releases_now() == 0 );
    CHECK_OK( socket_iocp_release_shared( shared ) );
    await_releases( 1 );
    CHECK( logged( SENT ) == 2 );
    close_socket( ends[1] );
    forget_events();
}

int main( void )
{
    int sockets = begin_test();
    port = new_port();
    fan_out();
    when_it_is_released();
    released_in_its_own_callback();
    misuse();
    delete_port( port );
    CHECK( open_sockets() == sockets );
    return 0;
}
