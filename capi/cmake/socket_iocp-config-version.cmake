# The version is the installed header's. Before 1.0 a new minor version may break what was built with an old one, as the
# library's soname says; from 1.0 on a new major version.

set( PACKAGE_VERSION "" )
foreach( _socket_iocp_part MAJOR MINOR PATCH )
    file( STRINGS "${CMAKE_CURRENT_LIST_DIR}/../../../include/socket_iocp.h" _socket_iocp_line
        REGEX "^#define SOCKET_IOCP_VERSION_${_socket_iocp_part} " )
    string( REGEX REPLACE ".* " "" _socket_iocp_${_socket_iocp_part} "${_socket_iocp_line}" )
endforeach()
set( PACKAGE_VERSION "${_socket_iocp_MAJOR}.${_socket_iocp_MINOR}.${_socket_iocp_PATCH}" )

set( _socket_iocp_compatible "${_socket_iocp_MAJOR}" )
if( _socket_iocp_MAJOR EQUAL 0 )
    set( _socket_iocp_compatible "0.${_socket_iocp_MINOR}" )
endif()
string( REGEX MATCH "^0\\.[0-9]+|^[0-9]+" _socket_iocp_wanted "${PACKAGE_FIND_VERSION}" )

if( PACKAGE_FIND_VERSION VERSION_LESS_EQUAL PACKAGE_VERSION AND _socket_iocp_wanted STREQUAL _socket_iocp_compatible )
    set( PACKAGE_VERSION_COMPATIBLE TRUE )
else()
    set( PACKAGE_VERSION_COMPATIBLE FALSE )
endif()
if( PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION )
    set( PACKAGE_VERSION_EXACT TRUE )
endif()
