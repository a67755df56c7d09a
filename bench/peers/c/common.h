/*
 * What the peers in C and C++ share: their arguments, their addresses, their end, and the threads that serve no
 * connections. See bench/peers/README.md; bench/peers/common is the same for the peers in Rust.
 *
 * What a peer cannot do without ends its process with code 1 and a line on standard error.
 */
#ifndef PEERS_COMMON_H
#define PEERS_COMMON_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum
{
    /* Of a request of answer. */
    REQUEST_BYTES = 64,
    /* Of a message of fan-out. */
    MESSAGE_BYTES = 128,
    /* Of a message of wake. */
    WAKE_BYTES = 64,
    /* Of the number that sink sends at the end. */
    COUNT_BYTES = 8,
    /* Byte number n of a stream of source is n modulo this. */
    SOURCE_PERIOD = 251,
    BACKLOG = 4096
};

enum work
{
    WORK_ECHO,
    WORK_ANSWER,
    WORK_ANSWER_BATCHED,
    WORK_FAN_OUT,
    WORK_FAN_OUT_THREAD,
    WORK_SINK,
    WORK_SOURCE,
    WORK_WAKE,
    WORKS
};

struct task
{
    enum work work;
    size_t read_buffer;
    size_t threads;
};

/* Reads the command line; prints the works and ends the process if that is what was asked for. A wrong argument ends
 * it with code 2, more than one thread for a work whose connections know of each other with code 3. */
struct task read_task( int argc, char **argv );

/* What one thread does: serves the connections of this listener, for ever. `publishers` is the second listener of
 * fan-out-thread, of other works -1. */
typedef void serve_function( const struct task *task, int listener, int publishers );

/* Listens, writes the line with the addresses, and serves with as many threads as the task says until standard input
 * ends. A listener has been told to listen, and blocks; several threads have one each, on one port (SO_REUSEPORT).
 * Returns the code to end with should the first thread stop serving, which none does. */
int serve( const struct task *task, serve_function *serve );

/* Ends the process unless this has worked; errno says why not. */
void require( bool worked, const char *doing );

/* malloc and realloc that do not fail. */
void *allocate( void *old, size_t bytes );

/* A piece of the stream of source that is sent again and again: a whole number of periods, `at_least` bytes or a few
 * more. */
unsigned char *source_piece( size_t at_least, size_t *len );

/* A number as sink sends it. */
void write_count( unsigned char bytes[COUNT_BYTES], unsigned long long count );

/* Finds the whole units (requests, messages) in what a connection has sent. `read` is where `len` bytes were read to;
 * before it are at least `unit - 1` bytes of room. `held` has the beginning of a unit from earlier reads, `*held_len`
 * bytes, and gets the beginning of the next. Returns the number of bytes in whole units, which lie at `*units`. */
size_t whole_units( size_t unit, unsigned char *held, size_t *held_len, unsigned char *read, size_t len,
                    unsigned char **units );

/* Messages in a row. */
struct messages
{
    unsigned char *bytes;
    size_t len;
    size_t room;
};

/* Messages on their way from the publisher's thread of fan-out-thread to a loop. */
struct inbox
{
    pthread_mutex_t lock;
    struct messages waiting;
    int publishers;
    /* Makes the loop take the messages; called in the publisher's thread when the inbox was empty. */
    void ( *ring )( void *context );
    void *context;
};

void inbox_start( struct inbox *inbox, int publishers, void ( *ring )( void * ), void *context );

/* Exchanges what waits for `taken`, whose memory is used again. */
void inbox_take( struct inbox *inbox, struct messages *taken );

/* Accepts the publisher and gives each of its messages to `publish`, until it goes. */
void read_messages( int publishers, void ( *publish )( void *context, const unsigned char *message ), void *context );

/* The thread of wake. */
struct waker
{
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum
    {
        WAKER_WAITS,
        WAKER_IS_DUE,
        WAKER_IS_OVER
    } state;
    /* Makes the loop send the next message; called in the waker's thread. */
    void ( *ring )( void *context );
    void *context;
};

void waker_start( struct waker *waker, void ( *ring )( void * ), void *context );

/* The connection is there, or has answered: the next message is due. */
void waker_due( struct waker *waker );

/* The connection has gone. */
void waker_over( struct waker *waker );

/* Runs `body` in a thread of its own, which nobody joins. */
void start_thread( void *( *body )( void * ), void *context );

#ifdef __cplusplus
}
#endif

#endif
