/*
 * The peer on Boost.Asio: an io_context a thread. It is built twice, for epoll and for io_uring.
 *
 * A session is owned by the handler of its one operation, and goes from handler to handler; only where it reads and
 * writes at once it is shared. Operations take their memory from Asio's recycling allocator. Sockets name their
 * executor, so that it is not type-erased; the context's locks are off but for those that asio::post needs.
 */
#include "asio_session.hpp"
#include "asio_shared.hpp"

#include <cstring>
#include <memory>
#include <utility>

namespace
{

using Owned = std::unique_ptr<Session>;

/* echo and answer-batched: the whole units of one read leave in one write. */
void answer_together( Owned owned )
{
    Session &session = *owned;
    auto was_read = [owned = std::move( owned )]( error_code error, size_t len ) mutable {
        if( error )
            return;
        Session &session = *owned;
        auto answers = asio::buffer( session.bytes(), session.add( len ) );
        auto written = [owned = std::move( owned )]( error_code error, size_t len ) mutable {
            if( error )
                return;
            owned->drop( len );
            answer_together( std::move( owned ) );
        };
        if( answers.size() == 0 )
            written( error, 0 );
        else
            asio::async_write( session.socket, answers, std::move( written ) );
    };
    session.socket.async_read_some( session.space(), std::move( was_read ) );
}

void answer_each( Owned owned );

/* answer: sends back the requests from this place of the buffer to that, one after the other, then reads on. */
void answer_next( Owned owned, size_t at, size_t end )
{
    if( at == end )
    {
        owned->drop( end );
        answer_each( std::move( owned ) );
        return;
    }
    Session &session = *owned;
    asio::async_write( session.socket, asio::buffer( session.bytes() + at, REQUEST_BYTES ),
                       [owned = std::move( owned ), at, end]( error_code error, size_t len ) mutable {
                           if( !error )
                               answer_next( std::move( owned ), at + len, end );
                       } );
}

void answer_each( Owned owned )
{
    Session &session = *owned;
    auto was_read = [owned = std::move( owned )]( error_code error, size_t len ) mutable {
        if( error )
            return;
        size_t end = owned->add( len );
        answer_next( std::move( owned ), 0, end );
    };
    session.socket.async_read_some( session.space(), std::move( was_read ) );
}

void sink( Owned owned, unsigned long long count )
{
    Session &session = *owned;
    auto was_read = [owned = std::move( owned ), count]( error_code error, size_t len ) mutable {
        if( !error )
            sink( std::move( owned ), count + len );
        if( error != asio::error::eof )
            return;
        Session &session = *owned;
        write_count( session.bytes(), count );
        asio::async_write( session.socket, asio::buffer( session.bytes(), COUNT_BYTES ),
                           [owned = std::move( owned )]( error_code, size_t ) {} );
    };
    session.socket.async_read_some( session.space(), std::move( was_read ) );
}

/* source: it reads nothing, so that it needs no session. */
void source( std::unique_ptr<Socket> owned, asio::const_buffer piece )
{
    Socket &socket = *owned;
    asio::async_write( socket, piece, [owned = std::move( owned ), piece]( error_code error, size_t ) mutable {
        if( !error )
            source( std::move( owned ), piece );
    } );
}

class Server
{
public:
    Server( const struct task &task, int listener, int publishers )
        : task( task ), context( BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO ), publishers( publishers ),
          acceptor( context, tcp::v4(), listener )
    {
        size_t len;
        if( task.work == WORK_FAN_OUT_THREAD )
            start_thread( publish, this );
        if( task.work == WORK_WAKE )
            woken = std::make_unique<Woken>( context );
        if( task.work == WORK_SOURCE )
        {
            unsigned char *bytes = source_piece( task.read_buffer, &len );
            piece = asio::buffer( bytes, len );
        }
    }

    void run()
    {
        accept();
        context.run();
    }

private:
    void accept()
    {
        acceptor.async_accept( [this]( error_code error, Socket socket ) {
            if( !error )
                socket.set_option( tcp::no_delay( true ), error );
            if( !error )
                start( std::move( socket ) );
            accept();
        } );
    }

    Owned own( Socket socket, size_t unit )
    {
        return std::make_unique<Session>( std::move( socket ), task.read_buffer, unit );
    }

    void start( Socket socket )
    {
        switch( task.work )
        {
        case WORK_ECHO:
            return answer_together( own( std::move( socket ), 1 ) );
        case WORK_ANSWER:
            return answer_each( own( std::move( socket ), REQUEST_BYTES ) );
        case WORK_ANSWER_BATCHED:
            return answer_together( own( std::move( socket ), REQUEST_BYTES ) );
        case WORK_FAN_OUT:
        case WORK_FAN_OUT_THREAD:
            return room.join( std::make_shared<Member>( Session( std::move( socket ), task.read_buffer, MESSAGE_BYTES ),
                                                        room, task.work == WORK_FAN_OUT ) );
        case WORK_SINK:
            return sink( own( std::move( socket ), COUNT_BYTES ), 0 );
        case WORK_SOURCE:
            return source( std::make_unique<Socket>( std::move( socket ) ), piece );
        default:
            return woken->serve( Session( std::move( socket ), task.read_buffer, WAKE_BYTES ) );
        }
    }

    static void *publish( void *context )
    {
        auto *server = static_cast<Server *>( context );
        read_messages( server->publishers, publish_message, server );
        return nullptr;
    }

    static void publish_message( void *context, const unsigned char *bytes )
    {
        auto *server = static_cast<Server *>( context );
        Message message;
        std::memcpy( message.data(), bytes, MESSAGE_BYTES );
        asio::post( server->context, [server, message] { server->room.fan_out( message ); } );
    }

    const struct task &task;
    asio::io_context context;
    int publishers;
    Acceptor acceptor;
    asio::const_buffer piece;
    Room room;
    std::unique_ptr<Woken> woken;
};

void run( const struct task *task, int listener, int publishers )
{
    Server( *task, listener, publishers ).run();
}

} // namespace

int main( int argc, char **argv )
{
    struct task task = read_task( argc, argv );

    return serve( &task, run );
}
