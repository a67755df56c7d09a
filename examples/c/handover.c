/*
 * handover ADDRESS:PORT CONTROL - an echo server that its successor replaces without losing a connection.
 *
 * The first one listens on ADDRESS:PORT, and on the Unix socket CONTROL for its successor. One that is started with the same CONTROL
 * gets the listening socket itself from the one before it:
 *
 *   successor                                predecessor
 *   makes its port, connects to CONTROL
 *                    <- the listening socket -
 *                    - r, ready ->           takes the listener out of its port, and waits for its farewell
 *                    <- y, yours -
 *   adds the listener to its port,
 *   is at CONTROL from now on
 *                    - s, serving ->         waits for its connections to end, and ends
 *
 * The example in Rust has the reasons for this order, and speaks the same words: each may replace the other. Whichever of the two
 * dies, the other one serves. Whoever may connect to CONTROL may take the server over: it belongs into a directory of the
 * server's own user.
 */
#include <stdlib.h>
#include <sys/un.h>

#include "common.h"

enum { BACKLOG = 64 };

static void *port;
static pthread_t main_thread;
/* The sender's own descriptor of the listening socket: the port's is not to be had while it serves. */
static SOCKET copy = INVALID_SOCKET;

/* What there is: the listener, and connections. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int listens;
static size_t connections;

static void set_listens( int now )
{
    pthread_mutex_lock( &mutex );
    listens = now;
    pthread_cond_signal( &changed );
    pthread_mutex_unlock( &mutex );
}

static void accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    void *handle = socket_iocp_find_socket( port, socket );
    (void)local, (void)remote, (void)listener;
    pthread_mutex_lock( &mutex );
    connections++;
    pthread_mutex_unlock( &mutex );
    *user = handle;
    socket_iocp_issue_recv( port, handle );
}

/* An issue call here is refused only if the socket is ending already; its farewell is then on the way. */
static void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *handle )
{
    (void)socket;
    if( byte_count > 0 )
        socket_iocp_issue_sync_send( port, handle, read_buffer, byte_count, NULL );
    else
        socket_iocp_close_socket( port, handle );
}

static void sent( SOCKET socket, void *handle, void *write )
{
    (void)socket, (void)write;
    socket_iocp_issue_recv( port, handle );
}

static void ended( SOCKET socket, void *handle )
{
    (void)socket, (void)handle;
    pthread_mutex_lock( &mutex );
    connections--;
    pthread_cond_signal( &changed );
    pthread_mutex_unlock( &mutex );
}

/* Every connection that was taken has had its accept callback. */
static void listener_ended( SOCKET socket, void *user )
{
    (void)socket, (void)user;
    set_listens( 0 );
}

static int say( SOCKET to, char word )
{
    return send( to, &word, 1, MSG_NOSIGNAL ) == 1;
}

static int hear( SOCKET from, char word )
{
    char heard;
    return recv( from, &heard, 1, 0 ) == 1 && heard == word;
}

static int address_of( const char *path, struct sockaddr_un *address )
{
    memset( address, 0, sizeof *address );
    address->sun_family = AF_UNIX;
    if( strlen( path ) >= sizeof address->sun_path )
        return 0;
    strcpy( address->sun_path, path );
    return 1;
}

/* A control socket at a place aside, so that nothing but a rename is left to be done when the predecessor has stopped. */
static SOCKET listen_aside( const char *control, struct sockaddr_un *aside )
{
    char path[256];
    SOCKET waiting = socket( AF_UNIX, SOCK_STREAM, 0 );
    snprintf( path, sizeof path, "%s.%ld", control, (long)getpid() );
    if( !address_of( path, aside ) )
        return INVALID_SOCKET;
    unlink( aside->sun_path );
    if( bind( waiting, (struct sockaddr *)aside, sizeof *aside ) != 0 || listen( waiting, 1 ) != 0 )
        return INVALID_SOCKET;
    return waiting;
}

/* The server that is to be replaced; INVALID_SOCKET: nobody, or the file of one that has gone. */
static SOCKET find_predecessor( const char *control )
{
    struct sockaddr_un address;
    SOCKET found = socket( AF_UNIX, SOCK_STREAM, 0 );
    if( address_of( control, &address ) && connect( found, (struct sockaddr *)&address, sizeof address ) == 0 )
        return found;
    close( found );
    return INVALID_SOCKET;
}

static int serve( SOCKET listener )
{
    int code;
    set_listens( 1 );
    code = socket_iocp_add_listen_socket( port, listener, BACKLOG, NULL );
    if( code != 0 )
        set_listens( 0 );
    return code;
}

/* Hands over. 0 is the successor's end: this server serves on. */
static int hand_over( SOCKET listener, SOCKET successor )
{
    if( socket_iocp_pass_socket( successor, 0, copy, NULL, 0 ) != 0 || !hear( successor, 'r' ) )
        return 0;
    if( socket_iocp_remove_listen_socket( port, listener ) != 0 )
        return 0;
    pthread_mutex_lock( &mutex );
    while( listens )
        pthread_cond_wait( &changed, &mutex );
    pthread_mutex_unlock( &mutex );
    if( say( successor, 'y' ) && hear( successor, 's' ) )
        return 1;
    if( serve( listener ) != 0 )
        fprintf( stderr, "handover: nobody listens any more\n" );
    return 0;
}

struct place
{
    SOCKET control;
    SOCKET listener;
};

/* Waits for a successor that takes over, then for the last connection, and ends the program. */
static void *until_the_end( void *argument )
{
    struct place *place = argument;
    int handed_over = 0;
    while( !handed_over )
    {
        SOCKET successor = accept( place->control, NULL, NULL );
        if( successor == INVALID_SOCKET )
        {
            sleep( 1 ); /* there is no descriptor left, and may be one later */
            continue;
        }
        handed_over = hand_over( place->listener, successor );
        close( successor );
    }
    close( place->listener );
    close( copy );
    pthread_mutex_lock( &mutex );
    while( connections > 0 )
        pthread_cond_wait( &changed, &mutex );
    pthread_mutex_unlock( &mutex );
    pthread_kill( main_thread, SIGTERM );
    return NULL;
}

static void print_address( SOCKET listener )
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[64], service[16];
    getsockname( listener, (struct sockaddr *)&address, &size );
    getnameinfo( (struct sockaddr *)&address, size, host, sizeof host, service, sizeof service, NI_NUMERICHOST | NI_NUMERICSERV );
    printf( "listening on %s:%s\n", host, service );
    fflush( stdout );
}

static int fail( const char *what )
{
    fprintf( stderr, "handover: %s\n", what );
    return 1;
}

int main( int argc, char **argv )
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000", *control = argc > 2 ? argv[2] : "control";
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    char nothing[SOCKET_IOCP_MAX_PASSED_DATA];
    size_t length = sizeof nothing;
    struct sockaddr_un aside;
    struct place place;
    SOCKET predecessor;
    pthread_t thread;

    /* Whatever can be refused comes before the predecessor is asked to stop. */
    catch_interrupts();
    main_thread = pthread_self();
    options.listen_error_callback_function = listener_ended;
    if( socket_iocp_new_with_options( &port, 16384, accepted, received, sent, ended, &options ) != 0 )
        return fail( "no port" );
    place.control = listen_aside( control, &aside );
    if( place.control == INVALID_SOCKET )
        return fail( "no control socket" );
    predecessor = find_predecessor( control );
    if( predecessor == INVALID_SOCKET )
        place.listener = listen_on( address );
    else if( socket_iocp_take_passed_socket( predecessor, &place.listener, nothing, &length ) != 0 )
        place.listener = INVALID_SOCKET;
    if( place.listener == INVALID_SOCKET || ( copy = dup( place.listener ) ) == INVALID_SOCKET )
    {
        unlink( aside.sun_path );
        return fail( "cannot listen" );
    }

    /* If the predecessor has died, it accepts nothing any more either. */
    if( predecessor != INVALID_SOCKET && say( predecessor, 'r' ) )
        hear( predecessor, 'y' );
    if( serve( place.listener ) != 0 || rename( aside.sun_path, control ) != 0 )
    {
        unlink( aside.sun_path );
        return fail( "cannot serve" );
    }
    if( predecessor != INVALID_SOCKET )
    {
        say( predecessor, 's' );
        close( predecessor );
    }
    print_address( place.listener );
    if( pthread_create( &thread, NULL, until_the_end, &place ) != 0 )
        return fail( "no thread" );
    wait_for_interrupt();
    socket_iocp_delete( port );
    return 0;
}
