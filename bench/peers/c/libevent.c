/*
 * The peer on libevent: an event_base a thread.
 *
 * Here are the works that send once for what they read once. A connection has a persistent event for reading, is read
 * into one buffer that all share, and is sent to at once. What the socket does not take waits in an evbuffer, and until
 * it has left its connection is not read. A bufferevent takes almost half as much CPU time again for an echo of 64
 * bytes: it asks how much there is to read before it reads, and has epoll told before and after each write.
 */
#include "libevent.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/thread.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection
{
    struct server *server;
    /* Of source NULL: it does not read. */
    struct event *readable;
    /* There from when the socket has first not taken all; of source from the start. */
    struct event *writable;
    /* What the socket has not taken. */
    struct evbuffer *later;
    /* Of sink the bytes that have come in, of source the bytes of the piece that have been sent. */
    uint64_t count;
    /* The beginning of a unit. */
    size_t held_len;
    unsigned char held[];
};

/* A work whose connections are read. */
struct recipe
{
    /* Takes what one read has brought. */
    void ( *take )( struct server *, struct connection *, unsigned char *bytes, size_t len );
    /* The bytes of a request of answer-batched, of an answer of wake, else 0. */
    size_t unit;
};

struct server
{
    struct event_base *base;
    const struct task *task;
    const struct recipe *recipe;
    /* It has a unit's bytes of room before it. */
    unsigned char *read_buffer;
    unsigned char *piece;
    size_t piece_len;
    struct event *called;
    struct waker waker;
    /* The connection of wake, and whether there has been one. */
    struct connection *woken;
    bool had_woken;
};

/* The end of a connection. */

static void end( struct connection *connection )
{
    struct server *server = connection->server;
    int socket = event_get_fd( connection->readable != NULL ? connection->readable : connection->writable );

    if( server->woken == connection )
    {
        server->woken = NULL;
        waker_over( &server->waker );
    }
    if( connection->readable != NULL )
        event_free( connection->readable );
    if( connection->writable != NULL )
        event_free( connection->writable );
    if( connection->later != NULL )
        evbuffer_free( connection->later );
    close( socket );
    free( connection );
}

/* Sending and receiving. */

static void was_writable( int socket, short events, void *context )
{
    struct connection *connection = context;
    enum work work = connection->server->task->work;

    (void)events;
    if( evbuffer_write( connection->later, socket ) < 0 && errno != EAGAIN )
        end( connection );
    else if( evbuffer_get_length( connection->later ) > 0 )
        return;
    else if( work == WORK_SINK )
        end( connection );
    else
    {
        event_del( connection->writable );
        event_add( connection->readable, NULL );
    }
}

static void send_later( struct connection *connection, const unsigned char *bytes, size_t len )
{
    int socket = event_get_fd( connection->readable );

    if( connection->later == NULL )
    {
        connection->later = evbuffer_new();
        connection->writable =
            event_new( connection->server->base, socket, EV_WRITE | EV_PERSIST, was_writable, connection );
    }
    require( connection->later != NULL && connection->writable != NULL, "allocating" );
    require( evbuffer_add( connection->later, bytes, len ) == 0, "evbuffer_add" );
    event_add( connection->writable, NULL );
}

enum sent
{
    SENT,
    SENT_LATER,
    /* The connection has ended and is no more. */
    SENT_NEVER
};

static enum sent send_bytes( struct connection *connection, const unsigned char *bytes, size_t len )
{
    ssize_t sent = 0;

    if( connection->later == NULL || evbuffer_get_length( connection->later ) == 0 )
        sent = send( event_get_fd( connection->readable ), bytes, len, MSG_NOSIGNAL );
    if( sent == (ssize_t)len )
        return SENT;
    if( sent < 0 && errno != EAGAIN )
    {
        end( connection );
        return SENT_NEVER;
    }
    sent = sent < 0 ? 0 : sent;
    send_later( connection, bytes + sent, len - sent );
    return SENT_LATER;
}

/* As send_bytes, and reads no more before all has been sent. */
static enum sent answer_bytes( struct connection *connection, const unsigned char *bytes, size_t len )
{
    enum sent sent = send_bytes( connection, bytes, len );

    if( sent == SENT_LATER )
        event_del( connection->readable );
    return sent;
}

static void was_readable( int socket, short events, void *context )
{
    struct connection *connection = context;
    struct server *server = connection->server;
    ssize_t len = recv( socket, server->read_buffer, server->task->read_buffer, 0 );
    unsigned char count[COUNT_BYTES];

    (void)events;
    if( len > 0 )
        server->recipe->take( server, connection, server->read_buffer, len );
    else if( len == 0 && server->task->work == WORK_SINK )
    {
        write_count( count, connection->count );
        if( answer_bytes( connection, count, sizeof count ) == SENT )
            end( connection );
    }
    else if( len == 0 || errno != EAGAIN )
        end( connection );
}

/* The works. */

static void take_echo( struct server *server, struct connection *connection, unsigned char *bytes, size_t len )
{
    (void)server;
    answer_bytes( connection, bytes, len );
}

static size_t take_units( struct server *server, struct connection *connection, unsigned char **bytes, size_t len )
{
    return whole_units( server->recipe->unit, connection->held, &connection->held_len, *bytes, len, bytes );
}

static void take_batch( struct server *server, struct connection *connection, unsigned char *bytes, size_t len )
{
    len = take_units( server, connection, &bytes, len );
    if( len > 0 )
        answer_bytes( connection, bytes, len );
}

static void take_nothing( struct server *server, struct connection *connection, unsigned char *bytes, size_t len )
{
    (void)server, (void)bytes;
    connection->count += len;
}

static void take_wake_answer( struct server *server, struct connection *connection, unsigned char *bytes, size_t len )
{
    if( take_units( server, connection, &bytes, len ) > 0 )
        waker_due( &server->waker );
}

static const struct recipe recipes[WORKS] = {
    [WORK_ECHO] = { take_echo, 0 },
    [WORK_ANSWER_BATCHED] = { take_batch, REQUEST_BYTES },
    [WORK_SINK] = { take_nothing, 0 },
    [WORK_WAKE] = { take_wake_answer, WAKE_BYTES },
};

static void send_pieces( int socket, short events, void *context )
{
    struct connection *connection = context;
    struct server *server = connection->server;
    size_t left = server->piece_len - connection->count;
    ssize_t sent = send( socket, server->piece + connection->count, left, MSG_NOSIGNAL );

    (void)events;
    if( sent >= 0 )
        connection->count = ( connection->count + sent ) % server->piece_len;
    else if( errno != EAGAIN )
        end( connection );
}

static void wake( int none, short events, void *context )
{
    static const unsigned char message[WAKE_BYTES];
    struct server *server = context;

    (void)none, (void)events;
    if( server->woken != NULL )
        send_bytes( server->woken, message, sizeof message );
}

/* The beginning of a connection. */

static void was_accepted( struct evconnlistener *listener, int socket, struct sockaddr *address, int len,
                          void *context )
{
    struct server *server = context;
    struct connection *connection;
    enum work work = server->task->work;

    (void)listener, (void)address, (void)len;
    set_nodelay( socket );
    if( work == WORK_WAKE && server->had_woken )
    {
        close( socket );
        return;
    }
    connection = allocate( NULL, sizeof *connection + server->recipe->unit );
    memset( connection, 0, sizeof *connection );
    connection->server = server;
    if( work == WORK_SOURCE )
    {
        connection->writable = event_new( server->base, socket, EV_WRITE | EV_PERSIST, send_pieces, connection );
        require( connection->writable != NULL && event_add( connection->writable, NULL ) == 0, "event_new" );
        return;
    }
    connection->readable = event_new( server->base, socket, EV_READ | EV_PERSIST, was_readable, connection );
    require( connection->readable != NULL && event_add( connection->readable, NULL ) == 0, "event_new" );
    if( work == WORK_WAKE )
    {
        server->had_woken = true;
        server->woken = connection;
        waker_due( &server->waker );
    }
}

void run_events( const struct task *task, int listener, int publishers )
{
    struct server *server = allocate( NULL, sizeof *server );
    const struct recipe *recipe = &recipes[task->work];
    unsigned char *read_buffer = allocate( NULL, recipe->unit + task->read_buffer );

    (void)publishers;
    *server = ( struct server ){ .task = task, .recipe = recipe, .read_buffer = read_buffer + recipe->unit };
    server->base = new_base( task->work == WORK_WAKE );
    if( task->work == WORK_WAKE )
    {
        server->called = new_called( server->base, wake, server );
        waker_start( &server->waker, ring, server->called );
    }
    if( task->work == WORK_SOURCE )
        server->piece = source_piece( task->read_buffer, &server->piece_len );
    dispatch( server->base, listener, was_accepted, server );
}

/* What both halves share. */

struct event_base *new_base( bool called )
{
    struct event_base *base;

    require( !called || evthread_use_pthreads() == 0, "evthread_use_pthreads" );
    base = event_base_new();
    require( base != NULL, "event_base_new" );
    return base;
}

struct event *new_called( struct event_base *base, event_callback_fn callback, void *server )
{
    struct event *called = event_new( base, -1, 0, callback, server );

    require( called != NULL, "event_new" );
    return called;
}

void ring( void *called )
{
    event_active( called, EV_READ, 0 );
}

void dispatch( struct event_base *base, int listener, evconnlistener_cb accepted, void *server )
{
    evutil_make_socket_nonblocking( listener );
    /* A backlog of 0: it listens already. */
    require( evconnlistener_new( base, accepted, server, 0, 0, listener ) != NULL, "evconnlistener_new" );
    event_base_dispatch( base );
}

void set_nodelay( int socket )
{
    int on = 1;

    setsockopt( socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on );
}

int main( int argc, char **argv )
{
    struct task task = read_task( argc, argv );
    bool buffered =
        task.work == WORK_ANSWER || task.work == WORK_FAN_OUT || task.work == WORK_FAN_OUT_THREAD;

    return serve( &task, buffered ? run_buffered : run_events );
}
