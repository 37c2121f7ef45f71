# shellcheck shell=bash disable=SC2154 # `out`, `server`, `profiles`, `rounds`, `binary` and the programs are the caller's
# The product and third-party tools by turns, on the same tenant and the same server: whole commands from the start of the
# process to its end. Each signs in, and reads segments, all profiles and audit events. The tools have virtual environments of
# their own, with pinned versions.

# environment NAME: makes the environment once for each set of versions.
environment() {
    local folder=$out/peers/$1
    if cmp -s "crates/bench/peers/$1.txt" "$folder/.installed-from"; then return; fi
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "crates/bench/peers/$1.txt"
    cp "crates/bench/peers/$1.txt" "$folder/.installed-from"
}

# whole NAME: the command of a side.
whole() {
    case $1 in
        product) echo "$binary backfill --json --full segments profiles audit_events" ;;
        script) echo "$out/peers/script/bin/python crates/bench/peers/script.py" ;;
        dlt) echo "$out/peers/dlt/bin/python crates/bench/peers/dlt_pipeline.py" ;;
    esac
}

run_peers() {
    local sides=(product script dlt) side case
    mkdir -p "$out/peers"
    environment script
    environment dlt
    export DLT_HOME=$PWD/$out/peers/dlt-home
    # The option is required; the later one counts.
    export DESTINATION__POSTGRES__CREDENTIALS="postgresql://postgres:none@localhost:5432/peer_dlt?host=$server"
    start_tenant
    for ((turn = 1; turn <= rounds; turn++)); do
        say "$profiles profiles, round $turn of $rounds"
        rm -rf "$DLT_HOME"
        fresh_database peer_product
        for side in script dlt; do
            sql "drop database if exists peer_$side"
            sql "create database peer_$side"
        done
        for case in full unchanged; do
            for side in "${sides[@]}"; do
                use_database "peer_$side"
                # The words of the command.
                # shellcheck disable=SC2046
                measure "whole $case" "$side" $(whole "$side")
            done
            # Otherwise autovacuum would run within the next minute and slow one of them.
            for side in "${sides[@]}"; do sql vacuum "peer_$side"; done
        done
    done
    for side in "${sides[@]}"; do sql "drop database peer_$side"; done
}
