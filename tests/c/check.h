/*
 * What the C tests share: checks, sockets on loopback, and a log of callbacks that can be waited for.
 *
 * Nothing here sleeps. A test that would wait for ever is ended by its alarm.
 */
#ifndef CHECK_H
#define CHECK_H

#ifdef _WIN32
#include "on_windows.h"
#else
#include "on_posix.h"
#endif

#define ALARM_SECONDS 60

/* ---- checks ---- */

static inline void check_failed( const char *file, int line, const char *what )
{
    fprintf( stderr, "%s:%d: failed: %s (OS error %d)\n", file, line, what, last_error() );
    abort();
}

static inline void check_code( const char *file, int line, const char *what, int expected, int got )
{
    if( got == expected )
        return;
    fprintf( stderr, "%s:%d: %s\n  expected %d %s\n  got      %d %s (OS error %d)\n", file, line, what, expected,
             socket_iocp_strerror( expected ), got, socket_iocp_strerror( got ), last_error() );
    abort();
}

#define CHECK( condition ) ( ( condition ) ? (void)0 : check_failed( __FILE__, __LINE__, #condition ) )
#define CHECK_CODE( expected, call ) check_code( __FILE__, __LINE__, #call, SOCKET_IOCP_E_##expected, call )
#define CHECK_OK( call ) check_code( __FILE__, __LINE__, #call, 0, call )

/* ---- sockets ---- */

/* A TCP socket that listens on a free port of the loopback address. */
static inline SOCKET listen_on_loopback( struct sockaddr_in *address )
{
    socklen_t size = sizeof *address;
    SOCKET listener = socket( AF_INET, SOCK_STREAM, 0 );
    CHECK( listener != INVALID_SOCKET );
    memset( address, 0, sizeof *address );
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl( INADDR_LOOPBACK );
    CHECK( bind( listener, (struct sockaddr *)address, sizeof *address ) == 0 );
    CHECK( getsockname( listener, (struct sockaddr *)address, &size ) == 0 );
    CHECK( listen( listener, 128 ) == 0 );
    return listener;
}

static inline SOCKET connect_to( const struct sockaddr_in *address )
{
    SOCKET connected = socket( AF_INET, SOCK_STREAM, 0 );
    CHECK( connected != INVALID_SOCKET );
    CHECK( connect( connected, (const struct sockaddr *)address, sizeof *address ) == 0 );
    return connected;
}

/* Two ends of a TCP connection. */
static inline void tcp_pair( SOCKET ends[2] )
{
    struct sockaddr_in address;
    SOCKET listener = listen_on_loopback( &address );
    ends[1] = connect_to( &address );
    ends[0] = accept( listener, NULL, NULL );
    CHECK( ends[0] != INVALID_SOCKET );
    close_socket( listener );
}

static inline void write_all( SOCKET to, const void *bytes, size_t count )
{
    const char *at = (const char *)bytes;
    while( count > 0 )
    {
        ssize_t written = send( to, at, (byte_count_t)count, NO_SIGNAL );
        CHECK( written > 0 );
        at += written;
        count -= (size_t)written;
    }
}

static inline void read_all( SOCKET from, void *bytes, size_t count )
{
    char *at = (char *)bytes;
    while( count > 0 )
    {
        ssize_t got = recv( from, at, (byte_count_t)count, 0 );
        CHECK( got > 0 );
        at += got;
        count -= (size_t)got;
    }
}

static inline void expect_bytes( SOCKET from, const char *text )
{
    char bytes[256];
    CHECK( strlen( text ) <= sizeof bytes );
    read_all( from, bytes, strlen( text ) );
    CHECK( memcmp( bytes, text, strlen( text ) ) == 0 );
}

static inline void expect_end( SOCKET from )
{
    char byte;
    CHECK( recv( from, &byte, 1, 0 ) == 0 );
}

static inline void expect_reset( SOCKET from )
{
    char byte;
    CHECK( met_reset( from, (int)recv( from, &byte, 1, 0 ) ) );
}

/* Leaves so that the peer sees a reset. */
static inline void reset( SOCKET socket )
{
    struct linger linger = { 1, 0 };
    CHECK( setsockopt( socket, SOL_SOCKET, SO_LINGER, (const char *)&linger, sizeof linger ) == 0 );
    close_socket( socket );
}

/* A send to a peer that does not read can be no longer than the kernel's buffers: this is more than those. */
#define MORE_THAN_FITS ( 64u * 1024u * 1024u )

/* ---- the log of callbacks ---- */

enum kind { ACCEPTED, RECEIVED, SENT, ENDED, LISTEN_ENDED, KINDS };

struct event
{
    enum kind kind;
    SOCKET socket;
    void *user;           /* the socket's user state, or the listen socket's */
    void *write;          /* the write's user state */
    void *data;           /* the read buffer */
    size_t byte_count;    /* of the recv callback's argument */
    void *port;           /* whose callback it is */
    struct socket_iocp_completion completion;
};

#define MAX_EVENTS 4096
#define MAX_PORTS 4

/* The ports whose callbacks are logged. */
static void *test_ports[MAX_PORTS];
/* Called inside a callback, before its event can be seen by await(). */
static void ( *test_hooks[KINDS] )( struct event *event );
/* What an accept callback stores as the socket's user state. */
static void *accepted_user_state;

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t log_changed = PTHREAD_COND_INITIALIZER;
static struct event log_events[MAX_EVENTS];
static size_t log_count;

static inline void log_event( struct event *event )
{
    int index, status = SOCKET_IOCP_E_WRONG_CONTEXT;
    for( index = 0; index < MAX_PORTS && status != 0; index++ )
    {
        event->port = test_ports[index];
        event->completion.size = sizeof event->completion;
        if( event->port != NULL )
            status = socket_iocp_result( event->port, &event->completion );
    }
    if( status != 0 )
        event->port = NULL;
    if( test_hooks[event->kind] != NULL )
        test_hooks[event->kind]( event );
    pthread_mutex_lock( &log_mutex );
    CHECK( log_count < MAX_EVENTS );
    log_events[log_count++] = *event;
    pthread_cond_broadcast( &log_changed );
    pthread_mutex_unlock( &log_mutex );
}

static inline struct event new_event( enum kind kind, SOCKET socket, void *user )
{
    struct event event;
    memset( &event, 0, sizeof event );
    event.kind = kind;
    event.socket = socket;
    event.user = user;
    return event;
}

static inline void accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listen_user, void **user )
{
    struct event event = new_event( ACCEPTED, socket, listen_user );
    CHECK( *user == NULL );
    CHECK( local != NULL && remote != NULL && local->sa_family == remote->sa_family );
    *user = accepted_user_state;
    log_event( &event );
}

static inline void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    struct event event = new_event( RECEIVED, socket, user );
    CHECK( ( read_buffer == NULL ) == ( byte_count == 0 ) );
    event.data = read_buffer;
    event.byte_count = byte_count;
    log_event( &event );
}

static inline void sent( SOCKET socket, void *user, void *write )
{
    struct event event = new_event( SENT, socket, user );
    event.write = write;
    log_event( &event );
}

static inline void ended( SOCKET socket, void *user )
{
    struct event event = new_event( ENDED, socket, user );
    log_event( &event );
}

static inline void listen_ended( SOCKET socket, void *listen_user )
{
    struct event event = new_event( LISTEN_ENDED, socket, listen_user );
    log_event( &event );
}

/* Waits for the event of this kind with this number, counted from 1. */
static inline struct event await( enum kind kind, size_t number )
{
    struct event found;
    size_t index = 0, seen = 0;
    pthread_mutex_lock( &log_mutex );
    for( ;; )
    {
        for( ; index < log_count; index++ )
        {
            if( log_events[index].kind != kind || ++seen != number )
                continue;
            found = log_events[index];
            pthread_mutex_unlock( &log_mutex );
            return found;
        }
        pthread_cond_wait( &log_changed, &log_mutex );
    }
}

static inline size_t logged( enum kind kind )
{
    size_t index, seen = 0;
    pthread_mutex_lock( &log_mutex );
    for( index = 0; index < log_count; index++ )
        seen += log_events[index].kind == kind;
    pthread_mutex_unlock( &log_mutex );
    return seen;
}

/* Forgets what was logged, for the next part of a test. No callback may be under way. */
static inline void forget_events( void )
{
    int kind;
    pthread_mutex_lock( &log_mutex );
    log_count = 0;
    pthread_mutex_unlock( &log_mutex );
    for( kind = 0; kind < KINDS; kind++ )
        test_hooks[kind] = NULL;
    accepted_user_state = NULL;
}

/* ---- ports ---- */

#define READ_BUFFER_SIZE 4096

static inline struct socket_iocp_options default_options( void )
{
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    options.listen_error_callback_function = listen_ended;
    return options;
}

/* Makes a port whose callbacks are logged. */
static inline void *new_port_with( const struct socket_iocp_options *options )
{
    void *port = NULL;
    int index = 0;
    CHECK_OK( socket_iocp_new_with_options( &port, READ_BUFFER_SIZE, accepted, received, sent, ended, options ) );
    CHECK( port != NULL );
    while( test_ports[index] != NULL )
        CHECK( ++index < MAX_PORTS );
    test_ports[index] = port;
    return port;
}

static inline void *new_port( void )
{
    struct socket_iocp_options options = default_options();
    return new_port_with( &options );
}

/* The port's handle is dead or about to be. */
static inline void forget_port( void *port )
{
    int index;
    for( index = 0; index < MAX_PORTS; index++ )
        if( test_ports[index] == port )
            test_ports[index] = NULL;
}

/* Deletes a port; farewells are logged until this returns. */
static inline void delete_port( void *port )
{
    socket_iocp_delete( port );
    forget_port( port );
}

/* Adds one end of a TCP connection to a port and returns its handle; the other end is the test's. */
static inline void *add_pair( void *port, SOCKET ends[2], void *user )
{
    void *handle;
    tcp_pair( ends );
    CHECK_OK( socket_iocp_add_connected_socket( port, ends[0], user ) );
    handle = socket_iocp_find_socket( port, ends[0] );
    CHECK( handle != NULL );
    return handle;
}

/* To be called first. Tells what is to be compared with open_sockets() at the end. */
static inline int begin_test( void )
{
    end_after( ALARM_SECONDS );
    setvbuf( stdout, NULL, _IONBF, 0 );
    start_sockets();
    return open_sockets();
}

#endif
