# find_package( socket_iocp ) gives:
#
#   socket_iocp::shared         the shared library, if it is installed
#   socket_iocp::static         the static library, if it is installed, with the system's libraries that it needs
#   socket_iocp::socket_iocp    the shared one; the static one if there is no other or socket_iocp_USE_STATIC is on
#
# This file lies in PREFIX/share/cmake/socket_iocp, and its library in one of the usual places below PREFIX. Another place is
# named by socket_iocp_LIBDIR.

get_filename_component( _socket_iocp_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE )
set( _socket_iocp_include "${_socket_iocp_prefix}/include" )
set( _socket_iocp_places
    ${socket_iocp_LIBDIR}
    "${_socket_iocp_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}"
    "${_socket_iocp_prefix}/lib64"
    "${_socket_iocp_prefix}/lib" )

# On Windows what is linked with is the import library.
if( WIN32 )
    set( _socket_iocp_shared_names libsocket_iocp.dll.a socket_iocp.dll.a socket_iocp.dll.lib )
    set( _socket_iocp_static_names libsocket_iocp.a socket_iocp.lib )
    set( _socket_iocp_system ws2_32 ntdll userenv )
    if( MSVC )
        list( APPEND _socket_iocp_system dbghelp )
    endif()
else()
    set( _socket_iocp_shared_names "libsocket_iocp${CMAKE_SHARED_LIBRARY_SUFFIX}" )
    set( _socket_iocp_static_names libsocket_iocp.a )
    set( _socket_iocp_system pthread m ${CMAKE_DL_LIBS} )
endif()

foreach( _socket_iocp_kind shared static )
    find_library( _socket_iocp_found
        NAMES ${_socket_iocp_${_socket_iocp_kind}_names}
        PATHS ${_socket_iocp_places}
        NO_DEFAULT_PATH NO_CACHE )
    if( _socket_iocp_found AND NOT TARGET socket_iocp::${_socket_iocp_kind} )
        add_library( socket_iocp::${_socket_iocp_kind} UNKNOWN IMPORTED )
        set_target_properties( socket_iocp::${_socket_iocp_kind} PROPERTIES
            IMPORTED_LOCATION "${_socket_iocp_found}"
            INTERFACE_INCLUDE_DIRECTORIES "${_socket_iocp_include}" )
    endif()
    unset( _socket_iocp_found )
endforeach()

if( TARGET socket_iocp::static )
    set_target_properties( socket_iocp::static PROPERTIES INTERFACE_LINK_LIBRARIES "${_socket_iocp_system}" )
endif()
# The header brings Winsock in, whose functions a program calls itself.
if( TARGET socket_iocp::shared AND WIN32 )
    set_target_properties( socket_iocp::shared PROPERTIES INTERFACE_LINK_LIBRARIES ws2_32 )
endif()

if( NOT TARGET socket_iocp::socket_iocp )
    add_library( socket_iocp::socket_iocp INTERFACE IMPORTED )
    if( TARGET socket_iocp::static AND ( socket_iocp_USE_STATIC OR NOT TARGET socket_iocp::shared ) )
        set_target_properties( socket_iocp::socket_iocp PROPERTIES INTERFACE_LINK_LIBRARIES socket_iocp::static )
    else()
        set_target_properties( socket_iocp::socket_iocp PROPERTIES INTERFACE_LINK_LIBRARIES socket_iocp::shared )
    endif()
endif()

if( NOT TARGET socket_iocp::shared AND NOT TARGET socket_iocp::static )
    set( socket_iocp_FOUND FALSE )
    set( socket_iocp_NOT_FOUND_MESSAGE
        "libsocket_iocp is in none of ${_socket_iocp_places}: name its place by socket_iocp_LIBDIR" )
endif()
