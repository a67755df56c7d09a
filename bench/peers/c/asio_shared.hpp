/* The works of the peer on Boost.Asio whose sessions read and write at once, and so are shared: fan-out and wake. */
#ifndef PEERS_ASIO_SHARED_HPP
#define PEERS_ASIO_SHARED_HPP

#include "asio_session.hpp"

#include <array>
#include <vector>

using Message = std::array<unsigned char, MESSAGE_BYTES>;

class Member;

/* The members of fan-out. */
class Room
{
public:
    void join( std::shared_ptr<Member> member );
    void leave( Member &member );
    void fan_out( const Message &message );

private:
    std::vector<std::shared_ptr<Member>> members;
};

class Member : public std::enable_shared_from_this<Member>
{
public:
    /* One that does not speak is read for nothing but its end. */
    Member( Session accepted, Room &room, bool speaks )
        : session( std::move( accepted ) ), room( room ), speaks( speaks )
    {
    }

    void read()
    {
        session.socket.async_read_some( session.space(), [self = shared_from_this()]( error_code error, size_t len ) {
            if( error )
                return self->end();
            self->take( self->session.add( len ) );
            self->read();
        } );
    }

    /* Sends the message when those before it have been sent. */
    void send( const Message &message )
    {
        queued.push_back( message );
        if( !writing )
            write();
    }

    size_t place = 0;

private:
    void take( size_t len )
    {
        Message message;
        for( size_t at = 0; speaks && at < len; at += MESSAGE_BYTES )
        {
            std::memcpy( message.data(), session.bytes() + at, MESSAGE_BYTES );
            room.fan_out( message );
        }
        session.drop( len );
    }

    void write()
    {
        if( next == leaving.size() )
        {
            leaving.clear();
            leaving.swap( queued );
            next = 0;
        }
        writing = !leaving.empty();
        if( !writing )
            return;
        asio::async_write( session.socket, asio::buffer( leaving[next++] ),
                           [self = shared_from_this()]( error_code error, size_t ) {
                               if( error )
                                   self->end();
                               else
                                   self->write();
                           } );
    }

    /* Cancels the other operation, if there is one, whose handler comes here too. */
    void end()
    {
        if( !session.socket.is_open() )
            return;
        error_code ignored;
        session.socket.close( ignored );
        room.leave( *this );
    }

    Session session;
    Room &room;
    bool speaks;
    bool writing = false;
    /* What is being sent, the message before `next` just now, and what came meanwhile. */
    std::vector<Message> leaving;
    size_t next = 0;
    std::vector<Message> queued;
};

inline void Room::join( std::shared_ptr<Member> member )
{
    member->place = members.size();
    members.push_back( member );
    member->read();
}

inline void Room::leave( Member &member )
{
    size_t place = member.place;
    members.back()->place = place;
    members[place].swap( members.back() );
    members.pop_back();
}

inline void Room::fan_out( const Message &message )
{
    for( auto &member : members )
        member->send( message );
}

/* wake: the connection is shared by the reads and by the writes that the waker asks for. */
class Woken
{
public:
    explicit Woken( asio::io_context &context ) : context( context )
    {
        waker_start( &waker, ring, this );
    }

    /* Serves the first connection; there is no other. */
    void serve( Session session )
    {
        if( had_one )
            return;
        had_one = true;
        connection = std::make_shared<Session>( std::move( session ) );
        waker_due( &waker );
        read();
    }

private:
    static void ring( void *context )
    {
        auto *woken = static_cast<Woken *>( context );
        asio::post( woken->context, [woken] { woken->write(); } );
    }

    void write()
    {
        static const unsigned char message[WAKE_BYTES] = {};
        if( connection != nullptr )
            asio::async_write( connection->socket, asio::buffer( message ),
                               [kept = connection]( error_code, size_t ) {} );
    }

    /* A write that fails is told by the read. */
    void read()
    {
        connection->socket.async_read_some( connection->space(), [this]( error_code error, size_t len ) {
            if( error )
            {
                connection->socket.close( error );
                connection.reset();
                waker_over( &waker );
                return;
            }
            size_t whole = connection->add( len );
            connection->drop( whole );
            if( whole > 0 )
                waker_due( &waker );
            read();
        } );
    }

    asio::io_context &context;
    struct waker waker;
    bool had_one = false;
    std::shared_ptr<Session> connection;
};

#endif
