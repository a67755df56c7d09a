/*
 * chat ADDRESS:PORT - what one member sends, all others get.
 *
 * A message is the read buffer that it came in, taken from the port and shared by the sends to all members; when the last of
 * them has been reported it is released. A member that reads too slowly has max_queued_sends messages waiting and no more: the next one
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

static void *port;
static mutex_type mutex = MUTEX_INIT;
static struct member *members;

static void release( void *message )
{
    socket_iocp_release_buffer( message );
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
static void send_to_others( const struct member *from, void *message, DWORD byte_count )
{
    struct member *member;
    lock( &mutex );
    for( member = members; member != NULL; member = member->next )
    {
        /* Any other error says that it is ending already. */
        if( member != from && socket_iocp_issue_shared_send( port, member->handle, message, 0, byte_count, NULL ) ==
                                  SOCKET_IOCP_E_QUEUE_FULL )
            socket_iocp_abort_socket( port, member->handle );
    }
    unlock( &mutex );
}

static void received( SOCKET socket, void *read_buffer, DWORD byte_count, void *user )
{
    struct member *member = user;
    void *message;
    (void)socket;
    if( byte_count == 0 )
    {
        socket_iocp_close_socket( port, member->handle );
        return;
    }
    if( socket_iocp_take_buffer( port, member->handle, &read_buffer ) != 0 )
    {
        socket_iocp_abort_socket( port, member->handle );
        return;
    }
    if( socket_iocp_share_buffer( read_buffer, byte_count, release, read_buffer, &message ) != 0 )
    {
        socket_iocp_release_buffer( read_buffer );
        socket_iocp_abort_socket( port, member->handle );
        return;
    }
    send_to_others( member, message, byte_count );
    socket_iocp_release_shared( message );
    socket_iocp_issue_recv( port, member->handle );
}

static void sent( SOCKET socket, void *user, void *write )
{
    (void)socket, (void)user, (void)write;
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
