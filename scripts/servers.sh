# shellcheck shell=bash disable=SC2154
# servers.sh - server processes of others on free ports of 127.0.0.1, in a folder that holds everything of theirs; sourced by
# scripts/kafka and scripts/zookeeper, after lib.sh.
#
# Who sources it sets
#   software      what it is called in messages                      Kafka
#   one           what one of the processes is called                broker
#   main_file     the file in $dir/$one-I that its command line names  server.properties
#   start_seconds, stop_seconds
# and defines
#   run_one I     becomes the process of server I (exec)
#   answers I O...  does I answer, and know the others O?
#   prepare       ports are chosen: everything else that a new folder needs
#   print_all     what `start` prints
#
# The servers listen on $host, which `start` is given or $dir/host has; what they say among themselves stays on 127.0.0.1.
# $dir/$one-I holds port (and others), pid, log, tmp; $dir/${one}s their number; $dir/complete is there once a start succeeded.

# ---- one server ----

address_of() {
    echo "$host:$(cat "$dir/$one-$1/port")"
}

# Prints the pid of server I; false when it does not run. Its command line names its file, so no other process is taken for it.
pid_of() {
    local pid
    pid=$(cat "$dir/$one-$1/pid" 2>/dev/null) || return 1
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -xF "$dir/$one-$1/$main_file" >/dev/null || return 1
    echo "$pid"
}

launch() {
    mkdir -p "$dir/$one-$1/tmp"
    (run_one "$1") </dev/null >>"$dir/$one-$1/log" 2>&1 9>&- &
    echo "$!" >"$dir/$one-$1/pid"
    # Until it has become the server it has no name of its own to be known by.
    while kill -0 "$!" 2>/dev/null && ! pid_of "$1" >/dev/null; do
        sleep 0.01
    done
}

# await I OTHER...: until server I answers with those others, or $deadline. 1: it ended.
await() {
    until answers "$@"; do
        pid_of "$1" >/dev/null || return 1
        if [ "$SECONDS" -ge "$deadline" ]; then
            show_log "$1"
            fail "$one $1 was not ready after $start_seconds s; the end of its log ($dir/$one-$1/log) is above"
        fi
        sleep 0.1
    done
}

show_log() {
    tail -n 40 "$dir/$one-$1/log" >&2
}

fail_dead() {
    show_log "$1"
    fail "$one $1 ended while it started; the end of its log ($dir/$one-$1/log) is above"
}

# Waits for server I to end, and ends it when the time is over.
end() {
    local pid deadline=$((SECONDS + stop_seconds))
    while pid=$(pid_of "$1"); do
        if [ "$SECONDS" -ge "$deadline" ]; then
            kill -KILL "$pid" 2>/dev/null || true
        fi
        sleep 0.05
    done
    rm -f "$dir/$one-$1/pid"
}

# ---- a folder ----

ids() {
    seq 1 "$(cat "$dir/${one}s")"
}

need_dir() {
    [ -n "$dir" ] || usage
    if [ "$command" = start ]; then
        mkdir -p "$dir"
    fi
    [ -d "$dir" ] || fail "there is no folder $dir"
    dir=$(cd "$dir" && pwd -P)
    exec 9>"$dir/lock"
    flock 9
    [ "$command" = start ] || [ -e "$dir/${one}s" ] || fail "no $software was ever started in $dir"
    if [ -e "$dir/complete" ] && [ -e "$dir/host" ]; then
        host=$(cat "$dir/host")
    fi
    : "${host:=127.0.0.1}"
}

# need_one I
need_one() {
    [[ "$1" =~ ^[1-9][0-9]*$ ]] || usage
    [ -d "$dir/$one-$1" ] || fail "there is no $one $1 in $dir, only 1 to $(cat "$dir/${one}s")"
}

# A port below those that the system gives to connections by itself, so that none of them takes it while its server is down.
free_port() {
    local low=10240 high port
    read -r high _ </proc/sys/net/ipv4/ip_local_port_range
    [ "$high" -gt $((low + 1000)) ] || low=1024 high=65536
    while :; do
        port=$((low + SRANDOM % (high - low)))
        ! grep -qxF "$port" "$dir/$one"-*/*port 2>/dev/null || continue
        (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null || break
    done
    echo "$port"
}

# choose_ports NAME...: one of each name for every server.
choose_ports() {
    local id name port
    for id in $(ids); do
        mkdir -p "$dir/$one-$id"
        for name in "$@"; do
            port=$(free_port)
            echo "$port" >"$dir/$one-$id/$name"
        done
    done
}

addresses() {
    local id list=
    for id in $(ids); do
        list+=,$(address_of "$id")
    done
    echo "${list#,}"
}

print_pids() {
    local id
    for id in $(ids); do
        echo "pid=$(pid_of "$id")"
    done
}

# ---- the commands ----

# 1: one of them ended; $dead says which.
start_all() {
    local id deadline=$((SECONDS + start_seconds))
    for id in $(ids); do
        launch "$id"
    done
    for id in $(ids); do
        # shellcheck disable=SC2046 # numbers
        await "$id" $(ids) || { dead=$id && return 1; }
    done
}

# stop I...: in order, all at once.
stop() {
    local id pid
    for id in "$@"; do
        if pid=$(pid_of "$id"); then
            kill -TERM "$pid" 2>/dev/null || true
            kill -CONT "$pid" 2>/dev/null || true # one that was paused
        fi
    done
    for id in "$@"; do
        end "$id"
    done
}

stop_all() {
    local all=()
    [ ! -e "$dir/${one}s" ] || mapfile -t all < <(ids)
    stop "${all[@]}"
}

# start_new COUNT
start_new() {
    local try
    [[ "$1" =~ ^[1-9][0-9]?$ ]] || fail "--${one}s is a number from 1 to 99, not '$1'"
    for try in 1 2 3 4 5; do
        stop_all # of a start that was broken off
        rm -rf "$dir/$one"-*
        echo "$1" >"$dir/${one}s"
        echo "$host" >"$dir/host"
        prepare
        start_all && return
        grep -q 'Address already in use' "$dir/$one"-*/log || fail_dead "$dead"
        say "${0##*/}: somebody else took a port meanwhile (attempt $try of 5)"
    done
    fail "no free ports were found"
}

# need_again COUNT: is the folder free, and has it as many as are asked for now?
need_again() {
    local id
    for id in $(ids); do
        ! pid_of "$id" >/dev/null || fail "$one $id runs already in $dir (pid $(pid_of "$id"))"
    done
    [ -z "$1" ] || [ "$1" = "$(cat "$dir/${one}s")" ] ||
        fail "$dir has $(cat "$dir/${one}s") $one(s), not $1; take another folder"
    [ "${#settings[@]}" -eq 0 ] || fail "$dir has its settings already; take another folder"
}

# start COUNT: "" is one, or those of the folder
start() {
    trap stop_all EXIT
    if [ -e "$dir/complete" ]; then
        start_all || fail_dead "$dead"
    else
        start_new "${1:-1}"
        : >"$dir/complete"
    fi
    trap - EXIT
    print_all
}

crash() {
    local pid
    pid=$(pid_of "$1") || fail "$one $1 does not run in $dir"
    kill -KILL "$pid"
    end "$1"
}

restart() {
    local pid deadline=$((SECONDS + start_seconds)) id=$1
    ! pid=$(pid_of "$id") || fail "$one $id runs already in $dir (pid $pid)"
    # shellcheck disable=SC2064 # as it is now
    trap "stop $id" EXIT
    launch "$id"
    await "$id" "$id" || fail_dead "$id"
    trap - EXIT
    echo "pid=$(pid_of "$id")"
}
