#!/usr/bin/env bash
# A throwaway PostgreSQL server for the tests, on a free port of 127.0.0.1.
#
#   scripts/test_postgres.sh run -- COMMAND...   start, run COMMAND with RECSYS_TEST_POSTGRES_URL, stop, exit as COMMAND did
#   eval "$(scripts/test_postgres.sh start)"     start and export RECSYS_TEST_POSTGRES_URL in this shell
#   scripts/test_postgres.sh stop                stop the one that `start` left running
#
# Commits do not wait for the disk, unless RECSYS_TEST_POSTGRES_DURABLE=1 asks for what a real server does.
# If RECSYS_TEST_POSTGRES_URL is set, `run` uses that server and starts none. Needs PostgreSQL's own programs; root on a
# machine with apt-get gets them installed.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HASTE="-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
if [[ -n ${RECSYS_TEST_POSTGRES_DURABLE:-} ]]; then HASTE=; fi
RECORD="$ROOT/var/test-postgres" # holds the folder of the server that `start` left running

say() { echo "test_postgres.sh: $*" >&2; }

find_programs() {
    local folder
    for folder in $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin 2>/dev/null | sort -rV); do
        if [[ -x $folder/initdb && -x $folder/postgres ]]; then echo "$folder"; return 0; fi
    done
    if command -v initdb >/dev/null && command -v postgres >/dev/null; then
        dirname "$(command -v initdb)"
        return 0
    fi
    return 1
}

install_programs() {
    "$ROOT/scripts/debian_install.sh" postgresql || {
        say "Expected PostgreSQL's programs (initdb, postgres), found none."
        say "Install PostgreSQL 13 or later, or set RECSYS_TEST_POSTGRES_URL=postgresql+psycopg://user:password@host/database."
        return 1
    }
}

as_owner() { # PostgreSQL refuses to run as root
    if [[ $(id -u) == 0 ]]; then
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

sweep() { # servers whose `run` was killed before it could stop them
    local folder
    for folder in /tmp/recsys-postgres.*; do
        if [[ -f $folder/runner ]] && ! kill -0 "$(cat "$folder/runner")" 2>/dev/null; then stop_server "$folder"; fi
    done
}

start_server() { # sets FOLDER and URL
    local programs port
    sweep
    programs=$(find_programs) || { install_programs && programs=$(find_programs); } || return 1
    FOLDER=$(mktemp -d /tmp/recsys-postgres.XXXXXX)
    if [[ $(id -u) == 0 ]]; then chown postgres "$FOLDER"; fi
    echo "$programs" >"$FOLDER/programs"
    if [[ $MODE == run ]]; then echo $$ >"$FOLDER/runner"; fi
    as_owner "$programs/initdb" --pgdata "$FOLDER/data" --username recsys --auth trust --encoding UTF8 --locale C \
        --no-sync >"$FOLDER/initdb.log" 2>&1 || { cat "$FOLDER/initdb.log" >&2; stop_server "$FOLDER"; return 1; }
    for _ in 1 2 3; do # somebody else may take the port between looking and using it
        port=$(free_port)
        if as_owner "$programs/pg_ctl" start --wait --timeout 60 --silent --pgdata "$FOLDER/data" --log "$FOLDER/data/server.log" \
            --options "-h 127.0.0.1 -p $port -k $FOLDER/data -c max_connections=50 $HASTE" \
            >/dev/null 2>&1 </dev/null; then
            URL="postgresql+psycopg://recsys@127.0.0.1:$port/postgres"
            return 0
        fi
    done
    say "Expected a PostgreSQL server to start in $FOLDER, but it did not. Its log:"
    cat "$FOLDER/data/server.log" >&2 || true
    stop_server "$FOLDER"
    return 1
}

stop_server() { # stops the server in folder $1, if any, and removes the folder
    [[ -d ${1:-} && $1 == /tmp/recsys-postgres.* ]] || return 0
    if [[ -f $1/data/postmaster.pid ]]; then
        as_owner "$(cat "$1/programs")/pg_ctl" stop --mode immediate --wait --silent --pgdata "$1/data" >/dev/null 2>&1 || true
    fi
    rm -rf "$1"
}

stop_recorded() {
    if [[ -f $RECORD ]]; then
        stop_server "$(cat "$RECORD")"
        rm -f "$RECORD"
    fi
}

MODE=${1:-}
case "$MODE" in
start)
    stop_recorded # what an interrupted session left behind
    start_server
    mkdir -p "$(dirname "$RECORD")"
    echo "$FOLDER" >"$RECORD"
    echo "export RECSYS_TEST_POSTGRES_URL=$URL"
    ;;
stop)
    stop_recorded
    ;;
run)
    shift
    if [[ ${1:-} == -- ]]; then shift; fi
    if [[ $# == 0 ]]; then say "Expected a command: scripts/test_postgres.sh run -- COMMAND..."; exit 2; fi
    if [[ -n ${RECSYS_TEST_POSTGRES_URL:-} ]]; then exec "$@"; fi
    FOLDER=
    trap 'stop_server "$FOLDER"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    start_server
    export RECSYS_TEST_POSTGRES_URL=$URL
    code=0
    "$@" || code=$?
    exit "$code"
    ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
