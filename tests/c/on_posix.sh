# What tests/c/run needs to know of a POSIX system. on_windows.sh has the same names.

CC=${CC:-cc}
CXX=${CXX:-c++}
LIBRARIES=${LIBRARIES:-target/release}
STATIC_LIBRARY=libsocket_iocp.a
SHARED_LIBRARY=libsocket_iocp.so
BUILD="cargo build --release --workspace"
# Beyond the strict flags of the header itself: the tests use POSIX.
DIALECT=(-std=c99 -D_XOPEN_SOURCE=700)
SYSTEM=(-lpthread -lm -ldl)
case $(uname) in
    Linux) SYSTEM+=(-lgcc_s -lrt) ;;
esac
EXE=
RUN=()
BACKENDS=(io_uring readiness)
# The header may leave the Windows names to the program.
HEADER_FLAGS=("" -DSOCKET_IOCP_NO_WINDOWS_TYPES)

prepare() {
    LIBRARIES=$(realpath "$LIBRARIES") || exit 1
    LINK_STATIC=("$LIBRARIES/$STATIC_LIBRARY" "${SYSTEM[@]}")
    LOADED=$LIBRARIES/$SHARED_LIBRARY
    LINK_SHARED=("-L$LIBRARIES" "-Wl,-rpath,$LIBRARIES" -lsocket_iocp -lpthread)
}

exported_by_shared() {
    nm -D --defined-only "$LIBRARIES/$SHARED_LIBRARY" | awk '{ print $3 }'
}

exported_by_static() {
    nm -g --defined-only "$LIBRARIES/$STATIC_LIBRARY" 2>/dev/null | awk '$3 ~ /^socket_iocp_/ { print $3 }'
}

# Says why a test cannot hold on this system, if so.
left_out() { # name
    case $1 in
        foreign_ports) echo "completion ports are Windows'" ;;
        *) return 1 ;;
    esac
}

# What else is to be tested of this system's libraries.
libraries() {
    :
}

# Makes a link by which a path could lead out of a directory.
lead_out() { # its name
    ln -s / "$1"
}

# The examples that only POSIX has: a hand-over by Unix sockets, a port in an event loop of somebody else's.
own_examples() {
    attempt "example handover" handover_client "$work/handover"
    foreign_loop libevent_loop libevent-dev
    foreign_loop libuv_loop libuv1-dev
}
