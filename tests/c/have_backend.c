/* Tells by its exit code whether the backend in SOCKET_IOCP_BACKEND can be had on this machine. */
#include "check.h"

int main( void )
{
    void *port = NULL;
    int code = socket_iocp_new( &port, 4096, accepted, received, sent, ended );
    if( code == SOCKET_IOCP_E_BACKEND_UNAVAILABLE )
        return 1;
    CHECK_OK( code );
    socket_iocp_delete( port );
    return 0;
}
