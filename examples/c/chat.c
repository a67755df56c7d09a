/*
 * chat ADDRESS:PORT - what one member sends, all others get.
 *
 * A message is the read buffer that it came in, taken from the port and sent to every member at once; whichever send
 * completes last releases it. A member that reads too slowly has max_queued_sends messages waiting and no more: the next one
 * ends it, so that nobody's memory grows and nobody waits for it.
 */
#include <stdlib.h>

#include "common.h"

enum { MAX_WAITING_MESSAGES = 64 };

struct member
{
    void *handle;
    struct member *next, **link; /* in the list of members; under the mutex */
};

struct message
{
    void *bytes;    /* a taken read buffer */
    int references; /* sends outstanding, and one while they are being issued; under the mutex */
};

static void *port;
static mutex_type mutex = MUTEX_INIT;
static struct member *members;

/* The mutex is held. */
static void let_go( struct message *message )
{
    if( --message->references > 0 )
        return;
    socket_iocp_release_buffer( message->bytes );
    free( message );
}

static void accepted( SOCKET socket, struct sockaddr *local, struct sockaddr *remote, void *listener, void **user )
{
    void *handle = socket_iocp_find_socket( port, socket );
    struct member *member = malloc( sizeof *member );
    (void)local, (void)remote, (void)listener;
    *user = member;
    if( member == NULL )
    {
        socket_iocp_abort_socket( port, handle );
        return;
    }
    member->handle = handle;
    lock( &mutex );
    member->next = members;
    member->link = &members;
    if( members != NULL )
        members->link = &member->next;
    members = member;
    unlock( &mutex );
    socket_iocp_issue_recv( port, handle );
}

/* An issue call never runs a callback, so it may be made with the mutex held. */
static void send_to_others( const struct member *from, struct message *message, DWORD byte_count )
{
    struct member *member;
    lock( &mutex );
    for( member = members; member != NULL; member = member->next )
    {
        if( member == from )
            continue;
        message->references++;
        switch( socket_iocp_issue_async_send( port, member->handle, message->bytes, byte_count, message ) )
        {
        case 0:
            break;
        case SOCKET_IOCP_E_QUEUE_FULL:
            socket_iocp_abort_socket( port, member->handle );
            message->references--;
            break;
        default: /* it is ending already */
            message->references--;
            break;
        }
    }
    let_go( message );
    unlock( &mutex );
}

static void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    struct member *member = user;
    struct message *message;
    (void)socket, (void)read_buffer;
    if( byte_count == 0 )
    {
        socket_iocp_close_socket( port, member->handle );
        return;
    }
    message = malloc( sizeof *message );
    if( message == NULL || socket_iocp_take_buffer( port, member->handle, &message->bytes ) != 0 )
    {
        free( message );
        socket_iocp_abort_socket( port, member->handle );
        return;
    }
    message->references = 1;
    send_to_others( member, message, byte_count );
    socket_iocp_issue_recv( port, member->handle );
}

/* Sent or not: this member needs the message no more. */
static void sent( SOCKET socket, void *user, void *write )
{
    (void)socket, (void)user;
    lock( &mutex );
    let_go( write );
    unlock( &mutex );
}

static void ended( SOCKET socket, void *user )
{
    struct member *member = user;
    (void)socket;
    if( member == NULL )
        return;
    lock( &mutex );
    *member->link = member->next;
    if( member->next != NULL )
        member->next->link = member->link;
    unlock( &mutex );
    free( member );
}

int main( int argc, char **argv )
{
    struct socket_iocp_options options = SOCKET_IOCP_OPTIONS_INIT;
    int code;
    options.max_queued_sends = MAX_WAITING_MESSAGES;
    code = socket_iocp_new_with_options( &port, 4096, accepted, received, sent, ended, &options );
    return serve_until_interrupt( "chat", argc > 1 ? argv[1] : "127.0.0.1:7001", port, code );
}
