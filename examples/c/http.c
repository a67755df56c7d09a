/*
 * http ADDRESS:PORT DIRECTORY - serves the files below a directory over HTTP/1.1, with keep-alive and pipelining.
 *
 * GET only. A request's head is at most MAX_HEAD bytes. Files are reached name by name from the directory, and no name may be
 * a symbolic link: no path leads out of it. Files are read in the callbacks, which blocks a worker for as long as the disk
 * takes; a server for slow disks would read them on threads of its own and issue the sends from there.
 */
#include <ctype.h>
#include <stdlib.h>

#include "common.h"
#include "files.h"

#ifdef _WIN32
#define strcasecmp _stricmp
#define strncasecmp _strnicmp
#else
#include <strings.h>
#endif

/* A connection on which nothing moves for IDLE_TIMEOUT_MS is reset. */
enum { MAX_HEAD = 8192, READ_SIZE = 4096, OUT_SIZE = 65536, IDLE_TIMEOUT_MS = 60000 };

struct connection
{
    void *handle;
    size_t in_count;     /* bytes of requests in `in` */
    long long file_left; /* bytes of the file not read yet */
    file_type file;
    int keep_alive;
    char in[MAX_HEAD + READ_SIZE];
    char out[OUT_SIZE];
};

static void *port;
static file_type directory;

/* ---- responses ---- */

static const char *type_of( const char *name )
{
    static const char *const types[][2] = {
        { ".html", "text/html; charset=utf-8" }, { ".txt", "text/plain; charset=utf-8" }, { ".css", "text/css" },
        { ".js", "text/javascript" },            { ".json", "application/json" },         { ".svg", "image/svg+xml" },
        { ".png", "image/png" },                 { ".jpg", "image/jpeg" },
    };
    const char *dot = strrchr( name, '.' );
    size_t index;
    for( index = 0; dot != NULL && index < sizeof types / sizeof *types; index++ )
        if( strcasecmp( dot, types[index][0] ) == 0 )
            return types[index][1];
    return "application/octet-stream";
}

static int write_head( struct connection *connection, const char *status, const char *type, long long length )
{
    return snprintf( connection->out, OUT_SIZE,
                     "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %lld\r\nConnection: %s\r\n\r\n", status, type, length,
                     connection->keep_alive ? "keep-alive" : "close" );
}

static void send_out( struct connection *connection, size_t count )
{
    if( socket_iocp_issue_sync_send( port, connection->handle, connection->out, (DWORD)count, NULL ) != 0 )
        socket_iocp_abort_socket( port, connection->handle );
}

/* Sends the next piece of the file, behind `head_count` bytes that are in `out` already. */
static void send_file( struct connection *connection, size_t head_count )
{
    size_t room = OUT_SIZE - head_count;
    long long got;
    if( (long long)room > connection->file_left )
        room = (size_t)connection->file_left;
    got = read_file( connection->file, connection->out + head_count, room );
    if( got < 0 || ( got == 0 && room > 0 ) )
    {
        /* The file became shorter: the length that was promised cannot be kept. */
        socket_iocp_abort_socket( port, connection->handle );
        return;
    }
    connection->file_left -= got;
    send_out( connection, head_count + (size_t)got );
}

static void send_error( struct connection *connection, const char *status )
{
    /* Three buffers, one send. */
    struct socket_iocp_buffer buffers[3] = { { connection->out, 0 }, { status, strlen( status ) }, { "\n", 1 } };
    buffers[0].length = (size_t)write_head( connection, status, "text/plain", (long long)buffers[1].length + 1 );
    if( socket_iocp_issue_vectored_send( port, connection->handle, buffers, 3, NULL ) != 0 )
        socket_iocp_abort_socket( port, connection->handle );
}

/* ---- requests ---- */

static int hex_digit( char digit )
{
    if( digit >= '0' && digit <= '9' )
        return digit - '0';
    digit = (char)tolower( (unsigned char)digit );
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Decodes %XX in place and cuts the query off. Returns 0 if the path cannot be one. */
static int decode_path( char *path )
{
    char *to = path;
    for( ; *path != 0 && *path != '?' && *path != '#'; path++ )
    {
        char byte = *path;
        if( byte == '%' )
        {
            int high = hex_digit( path[1] ), low = high < 0 ? -1 : hex_digit( path[2] );
            if( low < 0 || high * 16 + low == 0 )
                return 0;
            byte = (char)( high * 16 + low );
            path += 2;
        }
        *to++ = byte;
    }
    *to = 0;
    return 1;
}

/* Opens one name in a directory, which is closed unless it is the root. */
static file_type open_name( file_type parent, const char *name, int is_directory )
{
    file_type opened = open_below( parent, name, is_directory );
    if( parent != directory )
        close_file( parent );
    return opened;
}

/* Opens the regular file of a decoded path, name by name; `name` becomes the last one. Returns NO_FILE if there is none. */
static file_type open_path( char *path, const char **name, long long *size )
{
    file_type at = directory;
    for( ;; )
    {
        char *slash;
        while( *path == '/' )
            path++;
        slash = strchr( path, '/' );
        *name = *path == 0 ? "index.html" : path;
        if( slash == NULL )
            break;
        *slash = 0;
        at = open_name( at, path, 1 );
        if( at == NO_FILE )
            return NO_FILE;
        path = slash + 1;
    }
    at = open_name( at, *name, 0 );
    if( at == NO_FILE )
        return NO_FILE;
    *size = size_of_file( at );
    if( *size >= 0 )
        return at;
    close_file( at );
    return NO_FILE;
}

/* The value of a header in a head of lines that end in zero bytes, or NULL. */
static const char *header( const char *line, const char *end, const char *name )
{
    size_t length = strlen( name );
    for( ; line < end; line += strlen( line ) + 2 )
    {
        if( strncasecmp( line, name, length ) != 0 || line[length] != ':' )
            continue;
        line += length + 1;
        return line + strspn( line, " \t" );
    }
    return NULL;
}

/* Whether every line after the first is a name, a colon, and something: no name has a space in it. One that had could hide a
 * header that another server sees. */
static int headers_are_clean( const char *line, const char *end )
{
    for( line += strlen( line ) + 2; line < end; line += strlen( line ) + 2 )
        if( line[strcspn( line, ": \t" )] != ':' )
            return 0;
    return 1;
}

/* Answers the request whose head, without its empty line, is the text at `head`. It is taken apart in place. */
static void answer( struct connection *connection, char *head, size_t count )
{
    char *path, *version, *line, *end = head + count;
    const char *name, *length, *wish;
    int bad;

    for( line = strstr( head, "\r\n" ); line != NULL; line = strstr( line + 2, "\r\n" ) )
        *line = 0;
    path = strchr( head, ' ' );
    version = path == NULL ? NULL : strchr( path + 1, ' ' );
    bad = version == NULL || strncmp( version + 1, "HTTP/1.", 7 ) != 0;
    bad |= !headers_are_clean( head, end );
    length = header( head, end, "Content-Length" );
    /* A body is not expected; one that came unread would be taken for the next request. */
    bad |= ( length != NULL && strcmp( length, "0" ) != 0 ) || header( head, end, "Transfer-Encoding" ) != NULL;
    connection->keep_alive = 0;
    if( bad )
    {
        send_error( connection, "400 Bad Request" );
        return;
    }
    wish = header( head, end, "Connection" );
    connection->keep_alive = strcmp( version + 1, "HTTP/1.0" ) != 0 && ( wish == NULL || strcasecmp( wish, "close" ) != 0 );
    *path++ = 0;
    *version = 0;
    if( strcmp( head, "GET" ) != 0 )
        send_error( connection, "405 Method Not Allowed" );
    else if( path[0] != '/' || !decode_path( path ) )
        send_error( connection, "400 Bad Request" );
    else if( ( connection->file = open_path( path, &name, &connection->file_left ) ) == NO_FILE )
        send_error( connection, "404 Not Found" );
    else
        send_file( connection, (size_t)write_head( connection, "200 OK", type_of( name ), connection->file_left ) );
}

/* Answers the next request if it is here; else asks for more of it. One answer is under way at a time. */
static void next_request( struct connection *connection )
{
    char *end;
    size_t count;
    connection->in[connection->in_count] = 0;
    end = strstr( connection->in, "\r\n\r\n" );
    if( end == NULL )
    {
        int has_zero = strlen( connection->in ) < connection->in_count;
        if( has_zero || connection->in_count >= MAX_HEAD )
        {
            connection->keep_alive = 0;
            send_error( connection, has_zero ? "400 Bad Request" : "431 Request Header Fields Too Large" );
        }
        else if( socket_iocp_issue_recv( port, connection->handle ) != 0 )
            socket_iocp_close_socket( port, connection->handle );
        return;
    }
    *end = 0;
    count = (size_t)( end - connection->in );
    answer( connection, connection->in, count );
    count += 4;
    connection->in_count -= count;
    memmove( connection->in, connection->in + count, connection->in_count );
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
    connection->in_count = 0;
    connection->file = NO_FILE;
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
    /* There is room: a recv is issued only while less than MAX_HEAD bytes are here. */
    memcpy( connection->in + connection->in_count, read_buffer, byte_count );
    connection->in_count += byte_count;
    next_request( connection );
}

static void sent( SOCKET socket, void *user, void *write )
{
    struct connection *connection = user;
    struct socket_iocp_completion completion;
    (void)socket, (void)write;
    completion.size = sizeof completion;
    if( socket_iocp_result( port, &completion ) != 0 || completion.status != 0 )
        return; /* the farewell follows */
    if( connection->file != NO_FILE && connection->file_left > 0 )
    {
        send_file( connection, 0 );
        return;
    }
    if( connection->file != NO_FILE )
        close_file( connection->file );
    connection->file = NO_FILE;
    if( connection->keep_alive )
        next_request( connection );
    else
        socket_iocp_close_socket( port, connection->handle );
}

static void ended( SOCKET socket, void *user )
{
    struct connection *connection = user;
    (void)socket;
    if( connection == NULL )
        return;
    if( connection->file != NO_FILE )
        close_file( connection->file );
    free( connection );
}

int main( int argc, char **argv )
{
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    const char *root = argc > 2 ? argv[2] : ".";
    int code;
    options.idle_timeout_ms = IDLE_TIMEOUT_MS;
    directory = open_root( root );
    if( directory == NO_FILE )
    {
        fprintf( stderr, "http: %s: cannot be opened\n", root );
        return 2;
    }
    code = socket_iocp_new_with_options( &port, READ_SIZE, accepted, received, sent, ended, &options );
    return serve_until_interrupt( "http", argc > 1 ? argv[1] : "127.0.0.1:8080", port, code );
}
