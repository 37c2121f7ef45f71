# shellcheck shell=bash disable=SC2154 # `out`, `server`, `profiles` and the programs are the caller's
# Third-party tools on the same tenant and the same server, each in a virtual environment of its own, with pinned versions.
# They are slow: each reads a smaller tenant, whose size is in the table.

# environment NAME: makes the environment once for each set of versions.
environment() {
    local folder=$out/peers/$1
    if cmp -s "crates/bench/peers/$1.txt" "$folder/.installed-from"; then return; fi
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "crates/bench/peers/$1.txt"
    cp "crates/bench/peers/$1.txt" "$folder/.installed-from"
}

# peer NAME PROFILES COMMAND…: a full load, and the same again. Its results are recorded beside those of the main tenant.
peer() {
    local name=$1 count=$2 main=$profiles case
    shift 2
    environment "$name"
    profiles=$count
    start_tenant
    profiles=$main
    sql 'drop database if exists peer'
    sql 'create database peer'
    use_database peer
    for case in full unchanged; do
        measure "$case" "$name" "$@"
        record "$case" "$name" rows "$count"
    done
    sql 'drop database peer'
}

run_peers() {
    local home=$out/peers
    mkdir -p "$home"
    peer script 40000 "$home/script/bin/python" crates/bench/peers/script.py

    rm -rf "$home/dlt-home"
    # The option is required; the later one counts.
    export DLT_HOME=$home/dlt-home
    export DESTINATION__POSTGRES__CREDENTIALS="postgresql://postgres:none@localhost:5432/peer?host=$server"
    peer dlt 20000 "$home/dlt/bin/python" crates/bench/peers/dlt_pipeline.py

    printf '{"sqlalchemy_url": "postgresql+psycopg://postgres@/peer?host=%s", "default_target_schema": "peer"}\n' \
        "$server" >"$home/singer.json"
    # The inner shell expands it.
    # shellcheck disable=SC2016
    peer singer 10000 bash -c 'set -o pipefail
        "$0/python" crates/bench/peers/singer_tap.py | "$0/target-postgres" --config "$1"' \
        "$home/singer/bin" "$home/singer.json"
}
