/*
 * libuv_loop ADDRESS:PORT OWN_ADDRESS:PORT - a port inside a libuv loop that has work of its own.
 *
 * The port has no threads: its one descriptor is polled by the loop, and everything runs on the loop's thread. It echoes on
 * ADDRESS. The loop has a timer, and a listening socket on OWN_ADDRESS: it greets who connects there, then hands the socket
 * to the port, which echoes there too. So a program takes the library up a socket at a time.
 *
 * docs/foreign-loops.md says what to look out for.
 */
#include <uv.h>

#include "echo_on_loop.h"

static uv_poll_t ready, own;
static uv_timer_t timer;
static uv_signal_t interrupt;

static void port_is_ready( uv_poll_t *poll, int status, int events )
{
    (void)events;
    if( status != 0 || !run_port() )
        uv_stop( poll->loop );
}

static void timer_expired( uv_timer_t *expired )
{
    (void)expired;
    ticks++;
}

/*
 * A uv_tcp_t never gives its descriptor away, so a socket that is meant for the port is accepted here. One at a time: the poll
 * is level-triggered, and comes again while there are more.
 */
static void own_connection( uv_poll_t *poll, int status, int events )
{
    uv_os_fd_t listener;
    int connection;

    (void)events;
    if( status != 0 || uv_fileno( (uv_handle_t *)poll, &listener ) != 0 )
        return;
    connection = accept( listener, NULL, NULL );
    if( connection != -1 )
        greet_and_hand_over( connection );
}

static void interrupted( uv_signal_t *signal, int number )
{
    (void)number;
    uv_stop( signal->loop );
}

static void close_handle( uv_handle_t *handle, void *argument )
{
    (void)argument;
    uv_close( handle, NULL );
}

int main( int argc, char **argv )
{
    uv_loop_t *loop = uv_default_loop();
    int descriptor, own_listener;

    if( loop == NULL || !start( "libuv_loop", argc, argv, &descriptor, &own_listener ) )
        return 1;
    if( uv_poll_init( loop, &ready, descriptor ) != 0 || uv_poll_init( loop, &own, own_listener ) != 0 ||
        uv_timer_init( loop, &timer ) != 0 || uv_signal_init( loop, &interrupt ) != 0 )
        return 1;
    if( uv_poll_start( &ready, UV_READABLE, port_is_ready ) != 0 ||
        uv_poll_start( &own, UV_READABLE, own_connection ) != 0 ||
        uv_timer_start( &timer, timer_expired, TICK_MS, TICK_MS ) != 0 ||
        uv_signal_start( &interrupt, interrupted, SIGINT ) != 0 )
        return 1;
    say_listening();
    uv_run( loop, UV_RUN_DEFAULT );

    /* The descriptor is the port's: its poll goes first. Deleting the port runs the callbacks that are left, here. */
    uv_walk( loop, close_handle, NULL );
    uv_run( loop, UV_RUN_DEFAULT );
    socket_iocp_delete( port );
    close( own_listener );
    return uv_loop_close( loop ) == 0 ? 0 : 1;
}
