# What tests/c/run needs to know of Windows: programs are compiled by mingw and run by Wine. on_posix.sh has the same names.

CC=${CC:-x86_64-w64-mingw32-gcc}
CXX=${CXX:-x86_64-w64-mingw32-g++}
OBJDUMP=${OBJDUMP:-x86_64-w64-mingw32-objdump}
NM=${NM:-x86_64-w64-mingw32-nm}
LIBRARIES=${LIBRARIES:-target/x86_64-pc-windows-gnu/release}
STATIC_LIBRARY=libsocket_iocp.a
SHARED_LIBRARY=socket_iocp.dll
BUILD="ci/windows build"
# The standard formats of printf.
DIALECT=(-std=c99 -D__USE_MINGW_ANSI_STDIO=1)
SYSTEM=(-lws2_32 -lntdll -luserenv)
EXE=.exe
RUN=("${WINE:-wine}")
BACKENDS=(iocp)
# The header brings these names in itself; behind <windows.h> it does not quarrel with it.
HEADER_FLAGS=("" -DSOCKET_IOCP_NO_WINDOWS_TYPES "-include windows.h -DWIN32_LEAN_AND_MEAN")

prepare() {
    LIBRARIES=$(realpath "$LIBRARIES") || exit 1
    LINK_STATIC=("$LIBRARIES/$STATIC_LIBRARY" "${SYSTEM[@]}" -Wl,-Bstatic -lpthread)
    LINK_SHARED=("$LIBRARIES/lib$SHARED_LIBRARY.a" -lws2_32 -Wl,-Bstatic -lpthread)
    # A program finds its DLLs where it lies.
    LOADED=$SHARED_LIBRARY
    cp "$LIBRARIES/$SHARED_LIBRARY" "$work" || exit 1
    # Wine's server goes when its last program has gone, and may take a new one with it. This one waits for input until the
    # shell has ended.
    coproc "${RUN[@]}" cmd /c "set /p until=" 2>/dev/null
}

exported_by_shared() {
    "$OBJDUMP" -p "$LIBRARIES/$SHARED_LIBRARY" | sed -n '/^\[Ordinal\/Name Pointer\] Table/,/^$/s/^.*\] //p' | grep -v Table
}

exported_by_static() {
    "$NM" -g --defined-only "$LIBRARIES/$STATIC_LIBRARY" 2>/dev/null | awk '$3 ~ /^socket_iocp_/ { print $3 }'
}

left_out() { # name
    case $1 in
        forked) echo "no process is forked" ;;
        *) return 1 ;;
    esac
}

# The DLL goes alone: it needs no DLL of a compiler's.
libraries() {
    "$OBJDUMP" -p "$LIBRARIES/$SHARED_LIBRARY" | awk '/DLL Name:/ { print tolower($3) }' | sort -u >"$work/needed"
    attempt "$SHARED_LIBRARY needs only what Windows has" \
        sh -c '! grep -vxE "(kernel32|msvcrt|ntdll|ws2_32|userenv|bcryptprimitives|api-ms-win-.*)\.dll" "$1"' - "$work/needed"
}

# Wine makes no links that a program sees as such: the name is left out.
lead_out() { # its name
    :
}

# Nothing hands over by Unix sockets, and a completion port is no descriptor that a foreign loop could poll.
own_examples() {
    :
}
