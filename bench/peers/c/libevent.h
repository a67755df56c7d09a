/* What the two halves of the peer on libevent share. */
#ifndef PEERS_LIBEVENT_H
#define PEERS_LIBEVENT_H

#include "common.h"

#include <event2/event.h>
#include <event2/listener.h>

/* The works whose connections have plain events: all but the next. */
void run_events( const struct task *task, int listener, int publishers );

/* answer, fan-out and fan-out-thread, whose connections are bufferevents. */
void run_buffered( const struct task *task, int listener, int publishers );

/* A base, with locks if a thread that serves no connections calls. */
struct event_base *new_base( bool called );

/* An event that becomes active when it is rung. */
struct event *new_called( struct event_base *base, event_callback_fn callback, void *server );

/* Rings such an event, from any thread. */
void ring( void *called );

/* Accepts and serves, for ever. */
void dispatch( struct event_base *base, int listener, evconnlistener_cb accepted, void *server );

void set_nodelay( int socket );

#endif
