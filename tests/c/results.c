/* socket_iocp_result in each callback: operation, status, OS code, bytes, handle and both addresses. */
#include "check.h"

static void *port;
static struct sockaddr_in server_address, client_address;

static void check_addresses( const struct event *event )
{
    const struct socket_iocp_completion *completion = &event->completion;
    struct sockaddr_in local, remote;
    CHECK( completion->local_address_size == sizeof local && completion->remote_address_size == sizeof remote );
    memcpy( &local, completion->local_address, sizeof local );
    memcpy( &remote, completion->remote_address, sizeof remote );
    CHECK( local.sin_family == AF_INET && local.sin_port == server_address.sin_port );
    CHECK( local.sin_addr.s_addr == server_address.sin_addr.s_addr );
    CHECK( remote.sin_family == AF_INET && remote.sin_port == client_address.sin_port );
    CHECK( remote.sin_addr.s_addr == client_address.sin_addr.s_addr );
    CHECK( completion->socket == event->socket );
    CHECK( event->port == port );
}

static void in_accept( struct event *event )
{
    struct socket_iocp_completion cut;
    CHECK( event->completion.operation == SOCKET_IOCP_OPERATION_ACCEPT );
    CHECK( event->completion.status == 0 && event->completion.os_error == 0 && event->completion.byte_count == 0 );
    CHECK( event->completion.socket_iocp_socket_state == socket_iocp_find_socket( port, event->socket ) );
    /* A caller that knows less gets less. */
    memset( &cut, 0x55, sizeof cut );
    cut.size = offsetof( struct socket_iocp_completion, os_error );
    CHECK_OK( socket_iocp_result( port, &cut ) );
    CHECK( cut.operation == SOCKET_IOCP_OPERATION_ACCEPT && cut.os_error == 0x55555555 );
    cut.size = 0;
    CHECK_CODE( INVALID_ARGUMENT, socket_iocp_result( port, &cut ) );
    CHECK_CODE( NULL_POINTER, socket_iocp_result( port, NULL ) );
    CHECK_CODE( BAD_HANDLE, socket_iocp_result( &cut, &event->completion ) );
    CHECK_OK( socket_iocp_issue_recv( port, event->completion.socket_iocp_socket_state ) );
}

static void in_recv( struct event *event )
{
    void *handle = event->completion.socket_iocp_socket_state;
    check_addresses( event );
    CHECK( event->completion.operation == SOCKET_IOCP_OPERATION_RECV );
    CHECK( event->completion.status == 0 && event->completion.os_error == 0 );
    CHECK( event->completion.byte_count == event->byte_count );
    CHECK( handle == socket_iocp_find_socket( port, event->socket ) );
    CHECK_OK( socket_iocp_issue_sync_send( port, handle, event->data, (DWORD)event->byte_count, event->data ) );
}

static void in_send( struct event *event )
{
    check_addresses( event );
    CHECK( event->completion.operation == SOCKET_IOCP_OPERATION_SEND );
    CHECK( event->completion.status == 0 && event->completion.byte_count == 5 );
    CHECK_OK( socket_iocp_issue_recv( port, event->completion.socket_iocp_socket_state ) );
}

static void in_farewell( struct event *event )
{
    check_addresses( event );
    CHECK( event->completion.operation == SOCKET_IOCP_OPERATION_FAREWELL );
    CHECK( event->completion.status == SOCKET_IOCP_E_RESET );
    CHECK( is_reset( event->completion.os_error ) );
    CHECK( socket_iocp_issue_recv( port, event->completion.socket_iocp_socket_state ) == SOCKET_IOCP_E_CLOSED );
}

static void in_listen_farewell( struct event *event )
{
    CHECK( event->completion.operation == SOCKET_IOCP_OPERATION_LISTEN_FAREWELL );
    CHECK( event->completion.status == 0 && event->completion.socket == event->socket );
    CHECK( event->completion.socket_iocp_socket_state == NULL );
    CHECK( event->completion.local_address == NULL && event->completion.remote_address_size == 0 );
}

int main( void )
{
    struct socket_iocp_completion completion;
    socklen_t size = sizeof client_address;
    SOCKET listener, client;

    begin_test();
    port = new_port();
    completion.size = sizeof completion;
    CHECK_CODE( WRONG_CONTEXT, socket_iocp_result( port, &completion ) );

    test_hooks[ACCEPTED] = in_accept;
    test_hooks[RECEIVED] = in_recv;
    test_hooks[SENT] = in_send;
    test_hooks[ENDED] = in_farewell;
    test_hooks[LISTEN_ENDED] = in_listen_farewell;
    listener = listen_on_loopback( &server_address );
    client = socket( AF_INET, SOCK_STREAM, 0 );
    CHECK_OK( socket_iocp_add_listen_socket( port, listener, 2, &listener ) );
    CHECK( connect( client, (struct sockaddr *)&server_address, sizeof server_address ) == 0 );
    CHECK( getsockname( client, (struct sockaddr *)&client_address, &size ) == 0 );
    CHECK( await( ACCEPTED, 1 ).user == &listener );
    write_all( client, "hello", 5 );
    expect_bytes( client, "hello" );
    await( SENT, 1 );
    reset( client );
    await( ENDED, 1 );
    CHECK_OK( socket_iocp_remove_listen_socket( port, listener ) );
    CHECK( await( LISTEN_ENDED, 1 ).user == &listener );
    CHECK_CODE( WRONG_CONTEXT, socket_iocp_result( port, &completion ) );
    delete_port( port );
    CHECK_CODE( CLOSED, socket_iocp_result( port, &completion ) );
    close_socket( listener );
    return 0;
}
