/*
 * metrics ADDRESS:PORT - tells Prometheus over HTTP what the port and each of its workers have done, in the text format 0.0.4.
 *
 * The port that is measured is the one that answers; a server of something else adds one more listen socket for this, and takes
 * the statistics of its own port. Reading them stops no worker. A connection has one request.
 */
#include <stdlib.h>

#include "common.h"

enum { MAX_REQUEST = 8192, READ_SIZE = 4096, HEAD_SIZE = 256, IDLE_TIMEOUT_MS = 10000 };

struct connection
{
    void *handle;
    char *answer;
    size_t count; /* bytes of the request */
    char request[MAX_REQUEST + READ_SIZE + 1];
};

static void *port;

/* ---- the text ---- */

struct metric
{
    const char *name, *type, *help;
    size_t offset;
};

#define METRIC( member, name, type, help ) { name, type, help, offsetof( struct socket_iocp_counters, member ) }

static const struct metric metrics[] = {
    METRIC( sockets_now, "sockets", "gauge", "Connected sockets." ),
    METRIC( queued_sends_now, "queued_sends", "gauge", "Async sends outstanding." ),
    METRIC( queued_bytes_now, "queued_bytes", "gauge", "Bytes in the async sends outstanding." ),
    METRIC( accepts, "accepts_total", "counter", "Connections accepted." ),
    METRIC( recvs, "recvs_total", "counter", "Recvs completed." ),
    METRIC( sends, "sends_total", "counter", "Sends completed." ),
    METRIC( received_bytes, "received_bytes_total", "counter", "Bytes received." ),
    METRIC( sent_bytes, "sent_bytes_total", "counter", "Bytes sent." ),
    METRIC( farewells, "farewells_total", "counter", "Sockets that have ended." ),
    METRIC( panics, "panics_total", "counter", "Panics caught." ),
    METRIC( accept_errors, "accept_errors_total", "counter", "Accepts that failed." ),
    METRIC( connects, "connects_total", "counter", "Connects completed with success." ),
    METRIC( accept_backoffs, "accept_backoffs_total", "counter", "Pauses of listeners." ),
    METRIC( buffer_shortages, "buffer_shortages_total", "counter", "Operations that waited for memory." ),
    METRIC( empty_rings, "empty_rings_total", "counter", "Recvs that found no read buffer." ),
    METRIC( shortage_pauses, "shortage_pauses_total", "counter", "Pauses for want of memory." ),
    METRIC( linger_timeouts, "linger_timeouts_total", "counter", "Sockets ended by the linger limit." ),
    METRIC( idle_timeouts, "idle_timeouts_total", "counter", "Sockets ended by the idle time-out." ),
    METRIC( timers, "timers_total", "counter", "Timers that have ended." ),
    METRIC( operation_timeouts, "operation_timeouts_total", "counter", "Operations ended by their time limit." ),
    METRIC( high_watermarks, "high_watermarks_total", "counter", "Crossings of the high watermark." ),
    METRIC( waits, "waits_total", "counter", "Waits for completions." ),
    METRIC( completions, "completions_total", "counter", "Completions taken from the system." ),
    METRIC( wakeups, "wakeups_total", "counter", "Wake-ups by other threads." ),
};

enum { METRICS = sizeof metrics / sizeof *metrics, LINE_SIZE = 256 };

/* The statistics of each worker, in memory of the caller's; Prometheus adds them up. NULL if there is no memory. */
static char *exposition( size_t *length )
{
    struct socket_iocp_counters whole, *workers;
    uint32_t worker;
    size_t index, size;
    char *text, *at;

    whole.size = sizeof whole;
    if( socket_iocp_statistics( port, &whole ) != 0 )
        return NULL;
    size = METRICS * ( 2 + (size_t)whole.workers_now ) * LINE_SIZE;
    workers = calloc( (size_t)whole.workers_now, sizeof *workers );
    text = at = malloc( size );
    if( workers == NULL || text == NULL )
    {
        free( workers );
        free( text );
        return NULL;
    }
    for( worker = 0; worker < whole.workers_now; worker++ )
    {
        workers[worker].size = sizeof *workers;
        socket_iocp_worker_statistics( port, worker, &workers[worker] );
    }
    for( index = 0; index < METRICS; index++ )
    {
        const struct metric *metric = &metrics[index];
        at += snprintf( at, size - (size_t)( at - text ), "# HELP socket_iocp_%s %s\n# TYPE socket_iocp_%s %s\n", metric->name,
                        metric->help, metric->name, metric->type );
        for( worker = 0; worker < whole.workers_now; worker++ )
        {
            uint64_t value;
            memcpy( &value, (const char *)&workers[worker] + metric->offset, sizeof value );
            at += snprintf( at, size - (size_t)( at - text ), "socket_iocp_%s{worker=\"%lu\"} %llu\n", metric->name,
                            (unsigned long)worker, (unsigned long long)value );
        }
    }
    free( workers );
    *length = (size_t)( at - text );
    return text;
}

/* ---- requests ---- */

/* Sends an answer; `body` is freed. */
static void send_answer( struct connection *connection, const char *status, char *body, size_t length )
{
    int head;
    connection->answer = body == NULL ? NULL : malloc( HEAD_SIZE + length );
    if( connection->answer == NULL )
    {
        free( body );
        socket_iocp_abort_socket( port, connection->handle );
        return;
    }
    head = snprintf( connection->answer, HEAD_SIZE,
                     "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %lu\r\n"
                     "Connection: close\r\n\r\n",
                     status, (unsigned long)length );
    memcpy( connection->answer + head, body, length );
    free( body );
    if( socket_iocp_issue_sync_send( port, connection->handle, connection->answer, (DWORD)( (size_t)head + length ), NULL ) != 0 )
        socket_iocp_abort_socket( port, connection->handle );
}

static void send_error( struct connection *connection, const char *status )
{
    size_t length = strlen( status ) + 1;
    char *body = malloc( length + 1 );
    if( body != NULL )
        snprintf( body, length + 1, "%s\n", status );
    send_answer( connection, status, body, length );
}

static int begins_with( const char *text, const char *start )
{
    return strncmp( text, start, strlen( start ) ) == 0;
}

/* Answers the request if it is here; else asks for more of it. */
static void next_request( struct connection *connection )
{
    connection->request[connection->count] = 0;
    if( strstr( connection->request, "\r\n\r\n" ) == NULL )
    {
        if( connection->count >= MAX_REQUEST || strlen( connection->request ) < connection->count )
            send_error( connection, "400 Bad Request" );
        else
            socket_iocp_issue_recv( port, connection->handle );
    }
    else if( begins_with( connection->request, "GET /metrics HTTP/1." ) )
    {
        size_t length = 0;
        char *body = exposition( &length );
        send_answer( connection, "200 OK", body, length );
    }
    else
        send_error( connection, begins_with( connection->request, "GET /" ) ? "404 Not Found" : "400 Bad Request" );
}

/* ---- callbacks ---- */

static void accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    void *handle = socket_iocp_find_socket( port, socket );
    struct connection *connection = malloc( sizeof *connection );
    (void)local, (void)remote, (void)listener;
    *user = connection;
    if( connection == NULL )
    {
        socket_iocp_abort_socket( port, handle );
        return;
    }
    connection->handle = handle;
    connection->answer = NULL;
    connection->count = 0;
    socket_iocp_issue_recv( port, handle );
}

static void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    struct connection *connection = user;
    (void)socket;
    if( byte_count == 0 )
    {
        socket_iocp_close_socket( port, connection->handle );
        return;
    }
    /* There is room: a recv is issued only while less than MAX_REQUEST bytes are here. */
    memcpy( connection->request + connection->count, read_buffer, byte_count );
    connection->count += byte_count;
    next_request( connection );
}

static void sent( SOCKET socket, void *user, void *write )
{
    struct connection *connection = user;
    (void)socket, (void)write;
    socket_iocp_close_socket( port, connection->handle );
}

static void ended( SOCKET socket, void *user )
{
    struct connection *connection = user;
    (void)socket;
    if( connection == NULL )
        return;
    free( connection->answer );
    free( connection );
}

int main( int argc, char **argv )
{
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    int code;
    options.idle_timeout_ms = IDLE_TIMEOUT_MS;
    /* With a limit of bytes the port counts what is queued. */
    options.max_queued_bytes = 1024 * 1024;
    code = socket_iocp_new_with_options( &port, READ_SIZE, accepted, received, sent, ended, &options );
    return serve_until_interrupt( "metrics", argc > 1 ? argv[1] : "127.0.0.1:9100", port, code );
}
