/*
 * The peer on libuv: a loop a thread.
 *
 * One read buffer serves all connections of a loop, since what a read brings is dealt with before the next. Writes go
 * by uv_try_write, which needs no request (uv_write takes a fifth more CPU time for an echo of 64 bytes, and a buffer
 * for each write); what the socket does not take is copied into a request of a free list, and until it has left its
 * connection is not read.
 */
#include "common.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct connection
{
    /* First: a handle is its connection. */
    uv_tcp_t tcp;
    /* Of sink the bytes that have come in. */
    uint64_t received;
    /* Of fan-out its place among the members. */
    size_t place;
    /* The beginning of a unit: of a request, of a message. */
    size_t held_len;
    unsigned char held[];
};

/* What is written by libuv itself, later. */
struct later
{
    uv_write_t request;
    struct later *next;
    unsigned char bytes[];
};

struct server;

/* A work whose connections are read. */
struct recipe
{
    /* Takes what one read has brought. */
    void ( *take )( struct server *, struct connection *, unsigned char *bytes, size_t len );
    /* The bytes of a request, of a message, or of whatever else is sent at once. */
    size_t unit;
    /* Whether what was read is sent at once. */
    bool sends_reads;
};

struct server
{
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_async_t async;
    const struct task *task;
    const struct recipe *recipe;
    /* It has a unit's bytes of room before it. */
    unsigned char *read_buffer;
    struct later *spare;
    uv_buf_t piece;
    struct connection **members;
    size_t member_count;
    size_t member_room;
    struct inbox inbox;
    struct messages taken;
    struct waker waker;
    /* The connection of wake, and whether there has been one. */
    struct connection *woken;
    bool had_woken;
};

static struct server *server_of( const struct connection *connection )
{
    return connection->tcp.loop->data;
}

/* The end of a connection. */

static void closed( uv_handle_t *handle )
{
    free( handle );
}

static void end( struct connection *connection )
{
    struct server *server = server_of( connection );

    if( uv_is_closing( (uv_handle_t *)connection ) )
        return;
    if( server->members != NULL )
    {
        struct connection *last = server->members[--server->member_count];
        server->members[connection->place] = last;
        last->place = connection->place;
    }
    if( server->woken == connection )
    {
        server->woken = NULL;
        waker_over( &server->waker );
    }
    uv_close( (uv_handle_t *)connection, closed );
}

/* Sending and receiving. */

static void get_read_buffer( uv_handle_t *handle, size_t suggested, uv_buf_t *buffer )
{
    struct server *server = handle->loop->data;

    (void)suggested;
    buffer->base = (char *)server->read_buffer;
    buffer->len = server->task->read_buffer;
}

static void was_read( uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer );

static void was_written( uv_write_t *request, int status )
{
    struct later *later = (struct later *)request;
    struct connection *connection = (struct connection *)request->handle;
    struct server *server = server_of( connection );

    later->next = server->spare;
    server->spare = later;
    if( status < 0 || server->task->work == WORK_SINK )
        end( connection );
    else if( uv_stream_get_write_queue_size( request->handle ) == 0 )
        uv_read_start( request->handle, get_read_buffer, was_read );
}

static struct later *new_later( struct server *server )
{
    const struct recipe *recipe = server->recipe;
    struct later *later = server->spare;

    if( later == NULL )
        return allocate( NULL, sizeof *later + recipe->unit + recipe->sends_reads * server->task->read_buffer );
    server->spare = later->next;
    return later;
}

/* Sends; returns whether nothing is left to be sent later. */
static bool send_bytes( struct connection *connection, const unsigned char *bytes, size_t len )
{
    uv_stream_t *stream = (uv_stream_t *)connection;
    uv_buf_t buffer = { .base = (char *)bytes, .len = len };
    int sent = uv_try_write( stream, &buffer, 1 );
    struct later *later;

    if( sent == UV_EAGAIN )
        sent = 0;
    if( sent < 0 )
        end( connection );
    if( sent < 0 || (size_t)sent == len )
        return true;
    later = new_later( server_of( connection ) );
    buffer.base = memcpy( later->bytes, bytes + sent, len - sent );
    buffer.len = len - sent;
    require( uv_write( &later->request, stream, &buffer, 1, was_written ) == 0, "uv_write" );
    return false;
}

/* As send_bytes, and reads no more before all has been sent. */
static void answer_bytes( struct connection *connection, const unsigned char *bytes, size_t len )
{
    if( !send_bytes( connection, bytes, len ) )
        uv_read_stop( (uv_stream_t *)connection );
}

static void was_read( uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer )
{
    struct connection *connection = (struct connection *)stream;
    struct server *server = server_of( connection );
    unsigned char count[COUNT_BYTES];

    if( len > 0 )
        server->recipe->take( server, connection, (unsigned char *)buffer->base, len );
    else if( len == UV_EOF && server->task->work == WORK_SINK )
    {
        write_count( count, connection->received );
        if( send_bytes( connection, count, sizeof count ) )
            end( connection );
    }
    else if( len < 0 )
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

static void take_requests( struct server *server, struct connection *connection, unsigned char *bytes, size_t len )
{
    len = take_units( server, connection, &bytes, len );
    for( ; len > 0 && !uv_is_closing( (uv_handle_t *)connection ); bytes += REQUEST_BYTES, len -= REQUEST_BYTES )
        answer_bytes( connection, bytes, REQUEST_BYTES );
}

static void take_batch( struct server *server, struct connection *connection, unsigned char *bytes, size_t len )
{
    len = take_units( server, connection, &bytes, len );
    if( len > 0 )
        answer_bytes( connection, bytes, len );
}

/* To all members, the last first: one that ends here is replaced by one that has been sent to. */
static void fan_out( struct server *server, const unsigned char *message )
{
    for( size_t at = server->member_count; at > 0; at-- )
        send_bytes( server->members[at - 1], message, MESSAGE_BYTES );
}

static void take_messages( struct server *server, struct connection *connection, unsigned char *bytes, size_t len )
{
    len = take_units( server, connection, &bytes, len );
    for( ; len > 0; bytes += MESSAGE_BYTES, len -= MESSAGE_BYTES )
        fan_out( server, bytes );
}

static void take_nothing( struct server *server, struct connection *connection, unsigned char *bytes, size_t len )
{
    (void)server, (void)bytes;
    connection->received += len;
}

static void take_wake_answer( struct server *server, struct connection *connection, unsigned char *bytes, size_t len )
{
    if( take_units( server, connection, &bytes, len ) > 0 )
        waker_due( &server->waker );
}

static void send_piece( uv_write_t *request, int status )
{
    struct connection *connection = (struct connection *)request->handle;
    struct server *server = server_of( connection );

    if( status == 0 )
        status = uv_write( request, request->handle, &server->piece, 1, send_piece );
    if( status == 0 )
        return;
    free( request );
    end( connection );
}

/* Calls from the threads that serve no connections. */

static void ring( void *context )
{
    uv_async_send( context );
}

static void publish( uv_async_t *async )
{
    struct server *server = async->data;

    inbox_take( &server->inbox, &server->taken );
    for( size_t at = 0; at < server->taken.len; at += MESSAGE_BYTES )
        fan_out( server, server->taken.bytes + at );
}

static void wake( uv_async_t *async )
{
    static const unsigned char message[WAKE_BYTES];
    struct server *server = async->data;

    if( server->woken != NULL )
        send_bytes( server->woken, message, sizeof message );
}

/* The beginning of a connection. */

static void join( struct server *server, struct connection *connection )
{
    if( server->member_count == server->member_room )
    {
        server->member_room = server->member_room == 0 ? 64 : 2 * server->member_room;
        server->members = allocate( server->members, server->member_room * sizeof connection );
    }
    connection->place = server->member_count;
    server->members[server->member_count++] = connection;
}

static void start( struct server *server, struct connection *connection )
{
    uv_write_t *request;

    switch( server->task->work )
    {
    case WORK_FAN_OUT:
    case WORK_FAN_OUT_THREAD:
        join( server, connection );
        break;
    case WORK_SOURCE:
        request = allocate( NULL, sizeof *request );
        request->handle = (uv_stream_t *)connection;
        send_piece( request, 0 );
        return;
    case WORK_WAKE:
        if( server->had_woken )
        {
            end( connection );
            return;
        }
        server->had_woken = true;
        server->woken = connection;
        waker_due( &server->waker );
        break;
    default:
        break;
    }
    uv_read_start( (uv_stream_t *)connection, get_read_buffer, was_read );
}

static void was_accepted( uv_stream_t *listener, int status )
{
    struct server *server = listener->data;
    struct connection *connection;

    if( status < 0 )
        return;
    connection = allocate( NULL, sizeof *connection + server->recipe->unit );
    uv_tcp_init( &server->loop, &connection->tcp );
    connection->received = connection->held_len = 0;
    if( uv_accept( listener, (uv_stream_t *)connection ) != 0 )
    {
        uv_close( (uv_handle_t *)connection, closed );
        return;
    }
    uv_tcp_nodelay( &connection->tcp, 1 );
    start( server, connection );
}

static const struct recipe recipes[WORKS] = {
    [WORK_ECHO] = { .take = take_echo, .sends_reads = true },
    [WORK_ANSWER] = { .take = take_requests, .unit = REQUEST_BYTES },
    [WORK_ANSWER_BATCHED] = { .take = take_batch, .unit = REQUEST_BYTES, .sends_reads = true },
    [WORK_FAN_OUT] = { .take = take_messages, .unit = MESSAGE_BYTES },
    [WORK_FAN_OUT_THREAD] = { .take = take_nothing, .unit = MESSAGE_BYTES },
    [WORK_SINK] = { .take = take_nothing, .unit = COUNT_BYTES },
    [WORK_WAKE] = { .take = take_wake_answer, .unit = WAKE_BYTES },
};

/* Makes ready what some works need besides connections. */
static void prepare( struct server *server, int publishers )
{
    size_t len;

    switch( server->task->work )
    {
    case WORK_FAN_OUT_THREAD:
        uv_async_init( &server->loop, &server->async, publish );
        inbox_start( &server->inbox, publishers, ring, &server->async );
        break;
    case WORK_SOURCE:
        server->piece.base = (char *)source_piece( server->task->read_buffer, &len );
        server->piece.len = len;
        break;
    case WORK_WAKE:
        uv_async_init( &server->loop, &server->async, wake );
        waker_start( &server->waker, ring, &server->async );
        break;
    default:
        break;
    }
}

static void run( const struct task *task, int listener, int publishers )
{
    struct server *server = allocate( NULL, sizeof *server );

    memset( server, 0, sizeof *server );
    server->task = task;
    server->recipe = &recipes[task->work];
    require( uv_loop_init( &server->loop ) == 0, "uv_loop_init" );
    server->loop.data = server->listener.data = server->async.data = server;
    prepare( server, publishers );
    server->read_buffer = allocate( NULL, server->recipe->unit + task->read_buffer );
    server->read_buffer += server->recipe->unit;
    uv_tcp_init( &server->loop, &server->listener );
    require( uv_tcp_open( &server->listener, listener ) == 0, "uv_tcp_open" );
    require( uv_listen( (uv_stream_t *)&server->listener, BACKLOG, was_accepted ) == 0, "uv_listen" );
    uv_run( &server->loop, UV_RUN_DEFAULT );
}

int main( int argc, char **argv )
{
    struct task task = read_task( argc, argv );

    return serve( &task, run );
}
