# shellcheck shell=bash disable=SC2154 # `programs`, `out` and `binary` are the caller's
# A private PostgreSQL for script/bench, with the options of the embedded cluster, and its databases.

# A socket's path may have about 100 characters, so the folder is in /tmp.
scratch=$(mktemp -d /tmp/blueconic-sync-bench.XXXXXX)
server=$scratch/server
mkdir "$server"
# PostgreSQL refuses root: as root, it runs as `postgres` or `nobody`.
as_owner=(sh -c)
if [[ $(id -u) == 0 ]]; then
    owner=nobody
    if id -u postgres >/dev/null 2>&1; then owner=postgres; fi
    chmod 755 "$scratch"
    chown "$owner" "$server"
    as_owner=(su -s /bin/sh "$owner" -c)
fi
own() { "${as_owner[@]}" "cd '$server' && $1"; }

# The `shared_buffers` of the embedded cluster, in megabytes.
buffers() {
    local bounds total
    bounds=$(sed -n 's/^const [A-Z]*: u64 = \([0-9]*\);/\1/p' crates/embedded-postgres/src/buffers.rs | head -n 3 | paste -sd' ')
    total=$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)
    echo "$bounds $total" | awk '{ size = int($4 / 1024 / $1); print (size < $2 ? $2 : (size > $3 ? $3 : size)) }'
}

start_server() {
    # The options are read from the source of the embedded cluster, so that both are the same.
    local options
    options=$(sed -n '/^const OPTIONS/,/^];/s/^ *"\([^"]*\)",$/\1/p' \
        crates/embedded-postgres/src/supervisor.rs src/postgres/embedded.rs |
        grep -v -e '^listen_addresses' -e '^unix_socket' | sed "s/^/-c '/; s/\$/'/" | tr '\n' ' ')
    options+=" -c shared_buffers=$(buffers)MB"
    own "'$programs/initdb' -D data -U postgres -E UTF8 --locale=C -A trust --no-sync" >"$out/postgres.log" 2>&1
    printf '%s' "exec '$programs/postgres' -D data -c listen_addresses= -c unix_socket_directories='$server' $options" \
        >"$scratch/start.sh"
    chmod 755 "$scratch/start.sh"
    own "exec sh '$scratch/start.sh'" >>"$out/postgres.log" 2>&1 &
    for _ in {1..600}; do
        if "$programs/pg_isready" -q -h "$server" -U postgres; then return 0; fi
        sleep 0.1
    done
    say "PostgreSQL did not start: see $out/postgres.log"
    return 1
}

stop_server() {
    own "'$programs/pg_ctl' -D data -m immediate -w stop" >/dev/null 2>&1 || true
    rm -rf "$scratch"
}

# sql STATEMENT [DATABASE]
sql() { PGOPTIONS="-c client_min_messages=warning" "$programs/psql" -X -qAt -v ON_ERROR_STOP=1 -h "$server" -U postgres -d "${2:-postgres}" -c "$1"; }

use_database() { export DATABASE_URL="postgres:///$1?host=$server&user=postgres"; }

# Makes an empty, migrated database of this name. Migrating is not part of a case.
fresh_database() {
    sql "drop database if exists $1"
    if [[ $(sql "select count(*) from pg_database where datname = 'migrated'") == 0 ]]; then
        sql 'create database migrated'
        use_database migrated
        "$binary" migrate >/dev/null 2>>"$out/product.log"
    fi
    sql "create database $1 template migrated"
}

# Ends the work that a case left to the server, so that it does not slow the next case.
settle() {
    while [[ $(sql "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()") != 0 ]]; do
        sleep 0.02
    done
}

# CPU seconds of all ended sessions: the postmaster has added them up.
server_cpu() {
    local postmaster
    postmaster=$(head -n 1 "$server/data/postmaster.pid" 2>/dev/null || own "head -n 1 data/postmaster.pid")
    ticks_of "$postmaster" 16 17
}

# ticks_of PROCESS FIELD…: CPU seconds out of fields of /proc/PROCESS/stat.
ticks_of() {
    local process=$1
    shift
    sed 's/.*) //' "/proc/$process/stat" |
        awk -v fields="$*" -v hertz="$(getconf CLK_TCK)" '{
            count = split(fields, wanted, " ")
            # Removes the id and the name in parentheses.
            for (i = 1; i <= count; i++) sum += $(wanted[i] - 2)
            printf "%.2f", sum / hertz
        }'
}
