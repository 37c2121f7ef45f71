# shellcheck shell=sh
# Runs one private PostgreSQL as long as a process holds it, and cleans up afterwards.
#
# It exists because not every Unix can tell a process that its parent was killed. The holders (every
# process that uses the cluster) keep the write end of a named pipe open. The kernel closes it for them however
# they end, and the end of that pipe ends the cluster.
#
#   stdin    the read end of the pipe        stdout   a file with a lock, held while this script runs
#   stderr   the cluster's log               $1 folder of the programs   $2 data folder   $3 run folder
#   $4       persistent | temporary          $5…      options of postgres
trap '' HUP INT TERM
bin=$1 data_dir=$2 run=$3 kind=$4
shift 4
exec 3<&0 </dev/null
pgdata=$data_dir/pgdata

tidy() {
    rm -f "$run/holders" "$run/.s.PGSQL.5432" "$run/.s.PGSQL.5432.lock"
    rmdir "$run"
    if [ "$kind" = temporary ]; then
        cd / && rm -rf "$data_dir"
    fi
}

if [ ! -e "$pgdata/PG_VERSION" ]; then
    # Made beside its place and then moved there, so that an incomplete cluster is never used.
    rm -rf "$pgdata".new.*
    new=$pgdata.new.$$
    sync=
    if [ "$kind" = temporary ]; then sync=--no-sync; fi
    if ! { "$bin/initdb" -D "$new" -U postgres -E UTF8 --locale=C -A trust --no-instructions $sync >&2 3<&- &&
        mv "$new" "$pgdata"; }; then
        rm -rf "$new"
        tidy 2>/dev/null
        exit 64
    fi
fi

"$bin/postgres" -D "$pgdata" "$@" >&2 3<&- &
postmaster=$!
(
    read -r _ <&3
    exec 3<&-
    # A fast shutdown; if that does not end it within a minute, an immediate one (the next start recovers).
    kill -INT "$postmaster" || exit 0
    waited=0
    while kill -0 "$postmaster"; do
        if [ "$waited" -eq 600 ]; then kill -QUIT "$postmaster"; fi
        sleep 0.1 >/dev/null || sleep 1 >/dev/null
        waited=$((waited + 1))
    done
) 2>/dev/null &
watcher=$!
exec 3<&-

wait "$postmaster"
status=$?
# The data of a temporary cluster stay until its holders have ended, even if PostgreSQL has ended.
if [ "$kind" = persistent ]; then kill -KILL "$watcher"; fi
wait "$watcher" 2>/dev/null
tidy 2>/dev/null
exit "$status"
