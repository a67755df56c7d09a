# Servers of examples/c, each started and spoken to.

# Starts a server on a free port, runs a client function with the port, ends the server by a signal: it must exit with 0. An
# argument OTHER_ADDRESS is another address for it: its port is the first one less OTHER.
OTHER=10000
speak_to() { # client, server, further arguments
    local client=$1 server=$2 number line pid status=1
    shift 2
    mkfifo "$work/fifo"
    for _ in 1 2 3 4 5; do
        number=$((20000 + RANDOM % 10000))
        "${RUN[@]}" "$server" "127.0.0.1:$number" "${@/#OTHER_ADDRESS/127.0.0.1:$((number - OTHER))}" >"$work/fifo" &
        pid=$!
        if read -r line <"$work/fifo" && [[ $line == *listening* ]]; then
            "$client" "$number"
            status=$?
            kill -INT "$pid"
            wait "$pid" || { echo "the server ended with $?"; status=1; }
            break
        fi
        wait "$pid"
    done
    rm "$work/fifo"
    return "$status"
}

expect() { # descriptor, text
    local got
    IFS= read -r -t 10 -N "${#2}" -u "$1" got
    [ "$got" = "$2" ] || { printf 'expected %q, got %q\n' "$2" "$got"; return 1; }
}

echo_client() { # port
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return
    printf 'hello' >&3
    expect 3 hello && printf 'again' >&3 && expect 3 again
}

udp_echo_client() { # port
    exec 3<>"/dev/udp/127.0.0.1/$1" || return
    printf 'hello' >&3
    expect 3 hello && printf 'again' >&3 && expect 3 again
}

# Every byte is checked.
load_client() { # port
    "$LOAD" load "127.0.0.1:$1" --connections 50 --messages 20000 --quiet
}

# The loop's own connections are greeted with the ticks of its timer, which goes on while the port is under load; then they are
# the port's.
loop_client() { # port
    local first second
    greeted "$1" 0 first && exec 5<&3 || return
    printf 'hello' >&5
    expect 5 hello && load_client "$1" && greeted "$1" "$first" second || return
    printf 'again' >&5
    expect 5 again && printf 'me too' >&3 && expect 3 'me too'
}

# Connects to the loop's own listening socket until its timer has ticked more often.
greeted() { # port, more than this, variable for the number
    local ticks end=$((SECONDS + 20))
    until exec 3<>"/dev/tcp/127.0.0.1/$(($1 - OTHER))" && read -r -t 10 -u 3 ticks _ && [ "$ticks" -gt "$2" ]; do
        [ "$SECONDS" -lt "$end" ] || { echo "the timer says: ${ticks-nothing}"; return 1; }
    done
    printf -v "$3" %s "$ticks"
}

file_client() { # port
    local sent
    sent=$(cat <"/dev/tcp/127.0.0.1/$1") && [ "$sent" = 'a file' ] || { printf 'got %q\n' "$sent"; return 1; }
}

# Through the forward example, which is another server before the echo that is there.
forward_client() { # port
    local files=$work/forward_files
    mkdir "$files" || return
    # In a folder of its own, where it says that it listens.
    ( program=$work/forward$EXE; work=$files; speak_to both_clients "$program" "127.0.0.1:$1" )
}

both_clients() { # port
    echo_client "$1" && load_client "$1"
}

# A member is known to the others when its own first word has come to them.
chat_client() { # port
    exec 3<>"/dev/tcp/127.0.0.1/$1" 4<>"/dev/tcp/127.0.0.1/$1" || return
    local got=
    until [ -n "$got" ]; do
        printf 'x' >&3
        IFS= read -r -t 0.1 -N 1 -u 4 got
    done
    printf 'to you' >&4
    expect 3 'to you'
}

# It says something once, is asked a few times whether it is there, and says nothing more.
keepalive_client() { # port
    local said
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return
    printf 'x' >&3
    said=$(timeout 20 cat <&3)
    [[ $said =~ ^x(ping$'\n')+bye$ ]] || { printf 'got %q\n' "$said"; return 1; }
}

# The first server serves the connection that it has, and ends with the last one; its successor serves the next, at the address that
# the first has chosen.
handover_client() { # server
    local control=$work/control address next first second status=1
    mkfifo "$work/first" "$work/second" || return
    "$1" 127.0.0.1:0 "$control" >"$work/first" &
    first=$!
    if read -r -t 10 _ _ address <"$work/first" && echo_client "${address##*:}" && exec 5<&3; then
        # It must not hold the client's end of the connection.
        "$1" 127.0.0.1:1 "$control" 3<&- 5<&- >"$work/second" &
        second=$!
        read -r -t 10 _ _ next <"$work/second" && [ "$next" = "$address" ] && echo_client "${next##*:}" &&
            printf 'still' >&5 && expect 5 still && exec 5<&- && wait "$first" && status=0
        kill -INT "$second" && wait "$second" || status=1
    fi
    [ "$status" = 0 ] || kill "$first"
    return "$status"
}

http_client() { # port
    local body
    body=$(printf '%s\r\n' 'GET /below/file.txt HTTP/1.1' 'Host: x' '' 'GET /%2e%2e/files/below/file.txt HTTP/1.1' '' \
        'GET /link/etc/passwd HTTP/1.1' '' 'POST / HTTP/1.1' '' 'GET /below/file%2etxt HTTP/1.1' 'Connection: close' '' |
        ask "$1")
    [ "$(grep -c '^HTTP/1.1 200 OK' <<<"$body")" = 2 ] && [ "$(grep -c '^a file$' <<<"$body")" = 2 ] &&
        [ "$(grep -c '^HTTP/1.1 404 ' <<<"$body")" = 2 ] && [ "$(grep -c '^HTTP/1.1 405 ' <<<"$body")" = 1 ] &&
        [[ $(printf 'nonsense\r\n\r\n' | ask "$1") == 'HTTP/1.1 400 '* ]] &&
        [[ $(printf 'GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\nGET /' | ask "$1") == 'HTTP/1.1 400 '* ]] &&
        [[ $(head -c 9000 /dev/zero | tr '\0' x | ask "$1") == 'HTTP/1.1 431 '* ]] && return
    printf '%s\n' "$body"
    return 1
}

# A scrape: every line of it is a help, a type, or a sample with its worker, and each family has all three in this order.
metrics_client() { # port
    local answer
    answer=$(curl -s -i --fail "http://127.0.0.1:$1/metrics" | tr -d '\r') &&
        grep -q '^Content-Type: text/plain; version=0.0.4; charset=utf-8$' <<<"$answer" &&
        sed '1,/^$/d' <<<"$answer" | awk '
            /^# HELP socket_iocp_[a-z_]+ [A-Z]/ { wrong += wants != ""; name = $3; wants = "type"; next }
            /^# TYPE socket_iocp_[a-z_]+ (counter|gauge)$/ { wrong += wants != "type" || $3 != name; wants = "sample"; next }
            /^socket_iocp_[a-z_]+[{]worker="[0-9]+"[}] [0-9]+$/ {
                wrong += wants == "type" || index( $1, name "{" ) != 1 || seen[$1]++
                wants = ""; samples++; next
            }
            { wrong++ }
            END { exit wrong > 0 || wants != "" || samples < 21 }' &&
        grep -q '^socket_iocp_accepts_total{worker="[0-9]*"} 1$' <<<"$answer" &&
        [[ $(printf 'GET / HTTP/1.1\r\n\r\n' | ask "$1") == 'HTTP/1.1 404 '* ]] &&
        [[ $(printf 'nonsense\r\n\r\n' | ask "$1") == 'HTTP/1.1 400 '* ]] && return
    printf '%s\n' "$answer"
    return 1
}

ask() { # port; the request on stdin, the answer on stdout
    local descriptor
    exec {descriptor}<>"/dev/tcp/127.0.0.1/$1" || return
    cat >&"$descriptor"
    cat <&"$descriptor"
}
