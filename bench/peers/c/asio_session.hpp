/* What every work of the peer on Boost.Asio has: its types, and a session. */
#ifndef PEERS_ASIO_SESSION_HPP
#define PEERS_ASIO_SESSION_HPP

#include "common.h"

#include <boost/asio.hpp>
#include <cstring>
#include <memory>
#include <utility>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

/* A connection and the buffer that it is read into, which belongs to a read until that completes. */
class Session
{
public:
    /* A unit is a request or a message, or whatever else needs so much of the buffer. */
    Session( Socket accepted, size_t read_buffer, size_t unit )
        : socket( std::move( accepted ) ), read_buffer( read_buffer ), unit( unit ),
          buffer( std::make_unique_for_overwrite<unsigned char[]>( read_buffer + unit ) )
    {
    }

    asio::mutable_buffer space()
    {
        return asio::buffer( buffer.get() + filled, read_buffer );
    }

    /* Counts in what a read has brought, and returns how many bytes of whole units lie at bytes(). */
    size_t add( size_t len )
    {
        filled += len;
        return filled - filled % unit;
    }

    unsigned char *bytes()
    {
        return buffer.get();
    }

    /* Drops whole units, so that the beginning of the next lies first. */
    void drop( size_t len )
    {
        filled -= len;
        std::memmove( buffer.get(), buffer.get() + len, filled );
    }

    Socket socket;

private:
    size_t read_buffer;
    size_t unit;
    size_t filled = 0;
    std::unique_ptr<unsigned char[]> buffer;
};

#endif
