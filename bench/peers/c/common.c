#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const names[WORKS] = { "echo", "answer", "answer-batched", "fan-out",
                                          "fan-out-thread", "sink", "source", "wake" };

void require( bool worked, const char *doing )
{
    if( worked )
        return;
    perror( doing );
    exit( 1 );
}

void *allocate( void *old, size_t bytes )
{
    void *memory = realloc( old, bytes );
    require( memory != NULL, "allocating" );
    return memory;
}

/* Arguments. */

static _Noreturn void usage( void )
{
    fprintf( stderr, "usage: PEER works | PEER WORK READ_BUFFER THREADS\n" );
    exit( 2 );
}

/* A number in decimal digits, at least 1. */
static size_t number( const char *text )
{
    char *end;
    unsigned long long value;

    if( *text == 0 || strspn( text, "0123456789" ) != strlen( text ) )
        usage();
    errno = 0;
    value = strtoull( text, &end, 10 );
    if( errno != 0 || value == 0 || value > SIZE_MAX / 2 )
        usage();
    return (size_t)value;
}

struct task read_task( int argc, char **argv )
{
    struct task task;
    int work = 0;

    if( argc == 2 && strcmp( argv[1], "works" ) == 0 )
    {
        for( ; work < WORKS; work++ )
            puts( names[work] );
        exit( 0 );
    }
    if( argc != 4 )
        usage();
    while( work < WORKS && strcmp( argv[1], names[work] ) != 0 )
        work++;
    if( work == WORKS )
        usage();
    task.work = (enum work)work;
    task.read_buffer = number( argv[2] );
    task.threads = number( argv[3] );
    if( task.threads > 1 && ( work == WORK_FAN_OUT || work == WORK_FAN_OUT_THREAD || work == WORK_WAKE ) )
    {
        fprintf( stderr, "this peer does %s with one thread\n", names[work] );
        exit( 3 );
    }
    return task;
}

/* Addresses, and the end. */

/* A listener on this port of 127.0.0.1, or, if it is 0, on a free one, which is stored there. */
static int listen_on( in_port_t *port, bool share )
{
    int listener = socket( AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0 ), on = 1;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = *port };
    socklen_t len = sizeof address;

    address.sin_addr.s_addr = htonl( INADDR_LOOPBACK );
    require( listener >= 0, "socket" );
    require( !share || setsockopt( listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on ) == 0, "SO_REUSEPORT" );
    require( bind( listener, (struct sockaddr *)&address, sizeof address ) == 0, "bind" );
    require( listen( listener, BACKLOG ) == 0, "listen" );
    require( getsockname( listener, (struct sockaddr *)&address, &len ) == 0, "getsockname" );
    *port = address.sin_port;
    return listener;
}

static void *end_with_stdin( void *context )
{
    char bytes[256];
    ssize_t len;

    (void)context;
    do
        len = read( STDIN_FILENO, bytes, sizeof bytes );
    while( len > 0 || ( len < 0 && errno == EINTR ) );
    /* The loops are running: nothing that exit would tear down may go. */
    _exit( 0 );
}

struct served
{
    const struct task *task;
    serve_function *serve;
    int listener;
};

static void *serve_thread( void *context )
{
    struct served *served = context;

    served->serve( served->task, served->listener, -1 );
    return NULL;
}

void start_thread( void *( *body )( void * ), void *context )
{
    pthread_t thread;

    errno = pthread_create( &thread, NULL, body, context );
    require( errno == 0, "pthread_create" );
    pthread_detach( thread );
}

int serve( const struct task *task, serve_function *serve )
{
    struct served *all = allocate( NULL, task->threads * sizeof *all );
    in_port_t port = 0, publishers_port = 0;
    int publishers = -1;

    for( size_t at = 0; at < task->threads; at++ )
        all[at] = ( struct served ){ task, serve, listen_on( &port, task->threads > 1 ) };
    if( task->work == WORK_FAN_OUT_THREAD )
        publishers = listen_on( &publishers_port, false );
    /* Not every library sends with MSG_NOSIGNAL. */
    signal( SIGPIPE, SIG_IGN );
    printf( "127.0.0.1:%d", ntohs( port ) );
    if( publishers >= 0 )
        printf( " 127.0.0.1:%d", ntohs( publishers_port ) );
    printf( "\n" );
    fflush( stdout );
    start_thread( end_with_stdin, NULL );
    for( size_t at = 1; at < task->threads; at++ )
        start_thread( serve_thread, &all[at] );
    serve( task, all[0].listener, publishers );
    return 1;
}

/* Streams. */

unsigned char *source_piece( size_t at_least, size_t *len )
{
    unsigned char *piece;

    *len = ( at_least + SOURCE_PERIOD - 1 ) / SOURCE_PERIOD * SOURCE_PERIOD;
    piece = allocate( NULL, *len );
    for( size_t at = 0; at < *len; at++ )
        piece[at] = (unsigned char)( at % SOURCE_PERIOD );
    return piece;
}

void write_count( unsigned char bytes[COUNT_BYTES], unsigned long long count )
{
    for( int at = 0; at < COUNT_BYTES; at++ )
        bytes[at] = (unsigned char)( count >> 8 * at );
}

size_t whole_units( size_t unit, unsigned char *held, size_t *held_len, unsigned char *read, size_t len,
                    unsigned char **units )
{
    size_t whole, rest;

    memcpy( read - *held_len, held, *held_len );
    read -= *held_len;
    len += *held_len;
    rest = len % unit;
    whole = len - rest;
    memcpy( held, read + whole, rest );
    *held_len = rest;
    *units = read;
    return whole;
}

/* The publisher's thread. */

void read_messages( int publishers, void ( *publish )( void *context, const unsigned char *message ), void *context )
{
    unsigned char message[MESSAGE_BYTES];
    int publisher = accept( publishers, NULL, NULL );

    require( publisher >= 0, "accepting the publisher" );
    while( recv( publisher, message, sizeof message, MSG_WAITALL ) == sizeof message )
        publish( context, message );
    close( publisher );
}

static void inbox_put( void *context, const unsigned char *message )
{
    struct inbox *inbox = context;
    struct messages *waiting = &inbox->waiting;
    bool first;

    pthread_mutex_lock( &inbox->lock );
    first = waiting->len == 0;
    if( waiting->len == waiting->room )
    {
        waiting->room = waiting->room == 0 ? 64 * MESSAGE_BYTES : 2 * waiting->room;
        waiting->bytes = allocate( waiting->bytes, waiting->room );
    }
    memcpy( waiting->bytes + waiting->len, message, MESSAGE_BYTES );
    waiting->len += MESSAGE_BYTES;
    pthread_mutex_unlock( &inbox->lock );
    if( first )
        inbox->ring( inbox->context );
}

void inbox_take( struct inbox *inbox, struct messages *taken )
{
    struct messages empty = *taken;

    empty.len = 0;
    pthread_mutex_lock( &inbox->lock );
    *taken = inbox->waiting;
    inbox->waiting = empty;
    pthread_mutex_unlock( &inbox->lock );
}

static void *publisher_thread( void *context )
{
    struct inbox *inbox = context;

    read_messages( inbox->publishers, inbox_put, inbox );
    return NULL;
}

void inbox_start( struct inbox *inbox, int publishers, void ( *ring )( void * ), void *context )
{
    *inbox = ( struct inbox ){ .publishers = publishers, .ring = ring, .context = context };
    pthread_mutex_init( &inbox->lock, NULL );
    start_thread( publisher_thread, inbox );
}

/* The waker's thread. */

static void *waker_thread( void *context )
{
    struct waker *waker = context;
    bool over;

    for( ;; )
    {
        pthread_mutex_lock( &waker->lock );
        while( waker->state == WAKER_WAITS )
            pthread_cond_wait( &waker->changed, &waker->lock );
        over = waker->state == WAKER_IS_OVER;
        waker->state = WAKER_WAITS;
        pthread_mutex_unlock( &waker->lock );
        if( over )
            return NULL;
        waker->ring( waker->context );
    }
}

void waker_start( struct waker *waker, void ( *ring )( void * ), void *context )
{
    *waker = ( struct waker ){ .state = WAKER_WAITS, .ring = ring, .context = context };
    pthread_mutex_init( &waker->lock, NULL );
    pthread_cond_init( &waker->changed, NULL );
    start_thread( waker_thread, waker );
}

static void waker_tell( struct waker *waker, int state )
{
    pthread_mutex_lock( &waker->lock );
    waker->state = state;
    pthread_mutex_unlock( &waker->lock );
    pthread_cond_signal( &waker->changed );
}

void waker_due( struct waker *waker )
{
    waker_tell( waker, WAKER_IS_DUE );
}

void waker_over( struct waker *waker )
{
    waker_tell( waker, WAKER_IS_OVER );
}
