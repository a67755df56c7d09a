/*
 * libevent_loop ADDRESS:PORT OWN_ADDRESS:PORT - a port inside a libevent loop that has work of its own.
 *
 * The port has no threads: its one descriptor is an event like any other, and everything runs on the loop's thread. It
 * echoes on ADDRESS. The loop has a timer, and a listening socket on OWN_ADDRESS: it greets who connects there, then hands
 * the socket to the port, which echoes there too. So a program takes the library up a socket at a time.
 *
 * docs/foreign-loops.md says what to look out for.
 */
#include <event2/event.h>
#include <event2/listener.h>

#include "echo_on_loop.h"

static void port_is_ready( evutil_socket_t descriptor, short what, void *loop )
{
    (void)descriptor, (void)what;
    if( !run_port() )
        event_base_loopbreak( loop );
}

static void timer_expired( evutil_socket_t descriptor, short what, void *loop )
{
    (void)descriptor, (void)what, (void)loop;
    ticks++;
}

static void own_connection( struct evconnlistener *listener, evutil_socket_t connection, struct sockaddr *remote,
                            int size, void *loop )
{
    (void)listener, (void)remote, (void)size, (void)loop;
    greet_and_hand_over( connection );
}

static void interrupted( evutil_socket_t number, short what, void *loop )
{
    (void)number, (void)what;
    event_base_loopbreak( loop );
}

int main( int argc, char **argv )
{
    const struct timeval interval = { 0, TICK_MS * 1000 };
    struct event_base *loop = event_base_new();
    struct event *ready, *timer, *interrupt;
    struct evconnlistener *own;
    int descriptor, own_listener;

    if( loop == NULL || !start( "libevent_loop", argc, argv, &descriptor, &own_listener ) )
        return 1;
    /* Level-triggered, which is the default: the descriptor is readable for as long as there is something to do. */
    ready = event_new( loop, descriptor, EV_READ | EV_PERSIST, port_is_ready, loop );
    timer = event_new( loop, -1, EV_PERSIST, timer_expired, loop );
    interrupt = evsignal_new( loop, SIGINT, interrupted, loop );
    /* A libevent listener accepts until there is nothing left, and so must not block. */
    evutil_make_socket_nonblocking( own_listener );
    own = evconnlistener_new( loop, own_connection, loop, LEV_OPT_CLOSE_ON_FREE, 0, own_listener );
    if( ready == NULL || timer == NULL || interrupt == NULL || own == NULL || event_add( ready, NULL ) != 0 ||
        event_add( timer, &interval ) != 0 || event_add( interrupt, NULL ) != 0 )
        return 1;
    say_listening();
    event_base_dispatch( loop );

    /* The descriptor is the port's: its event goes first. Deleting the port runs the callbacks that are left, here. */
    event_free( ready );
    socket_iocp_delete( port );
    evconnlistener_free( own );
    event_free( timer );
    event_free( interrupt );
    event_base_free( loop );
    return 0;
}
