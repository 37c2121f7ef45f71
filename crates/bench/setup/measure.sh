# shellcheck shell=bash disable=SC2154 # `out`, `results`, `profiles`, `turn` and the programs are the caller's
# How script/bench measures: one process at a time, each number a line of the results.

# record CASE SIDE MEASURE VALUE
record() { printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$profiles" "$turn" "$1" "$2" "$3" "$4" >>"$results"; }

# The sum of a member over all objects of the last answer.
answered() {
    # An answer without the member counts as 0.
    { grep -o "\"$1\": *[0-9.]*" "$out/answer.json" || true; } | awk -F ': *' '{ sum += $2 } END { printf "%.10g", sum }'
}

# measure CASE SIDE COMMAND…: seconds, CPU, peak memory, WAL, rows.
measure() {
    local name=$1 side=$2 wal cpu_before tenant_before measure value
    shift 2
    settle
    # Otherwise a checkpoint of an earlier case could run during this one.
    sql checkpoint
    wal=$(sql 'select pg_current_wal_insert_lsn()')
    cpu_before=$(server_cpu) tenant_before=$(ticks_of "$tenant_process" 14 15)
    if ! "$table" measure --accept 0,3 --answer "$out/answer.json" -- "$@" >"$scratch/took" 2>>"$out/product.log"; then
        say "\`$name\` of the $side failed: see $out/product.log"
        return 1
    fi
    while read -r measure value; do record "$name" "$side" "$measure" "$value"; done <"$scratch/took"
    record "$name" "$side" wal "$(sql "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$wal')")"
    settle
    record "$name" "$side" server-cpu "$(awk "BEGIN { print $(server_cpu) - $cpu_before }")"
    record "$name" "$side" tenant-cpu "$(awk "BEGIN { print $(ticks_of "$tenant_process" 14 15) - $tenant_before }")"
    record "$name" "$side" rows "$(answered rows_read)"
    say "$name, $side: $(tr '\n' ' ' <"$scratch/took")$(answered rows_read) rows"
}

# product DATABASE CASE ARGUMENTS…
product() {
    use_database "$1"
    measure "$2" product "$binary" backfill --json "${@:3}"
    record "$2" product written "$(awk "BEGIN { print $(answered rows_inserted) + $(answered rows_updated) + $(answered rows_removed) + $(answered rows_rehashed) }")"
    record "$2" product pages "$(answered pages)"
}

# reference DATABASE CASE: the seconds are those of the whole process, as for the product.
least() {
    use_database "$1"
    measure "$2" reference "$reference" full --page-size "$page_size" --session "$session" --index
    record "$2" reference written "$(answered rows_written)"
}

# both CASE: alternates, so that the machine's load affects both.
both() {
    if ((turn % 2)); then
        product product "$1" --full profiles
        least reference "$1"
    else
        least reference "$1"
        product product "$1" --full profiles
    fi
    local side
    for side in product reference; do
        record "$1" "$side" size "$(sql "select pg_total_relation_size('blueconic.profiles')" "$side")"
    done
}

# Checks that both have stored the same rows; otherwise the comparison has no meaning.
compare_digests() {
    local own others
    use_database product
    own=$("$reference" digest)
    use_database reference
    others=$("$reference" digest)
    if [[ $own != "$others" ]]; then
        say "product and reference have not stored the same rows after \`$1\`: $own / $others"
        return 1
    fi
    say "both have stored the same rows: $own"
}

# limit CASE COMMAND…: the reference alone, with the seconds that it reports.
limit() {
    local name=$1
    shift
    settle
    "$reference" "$@" --page-size "$page_size" >"$out/answer.json" 2>>"$out/product.log"
    record "$name" reference seconds "$(answered seconds)"
    record "$name" reference rows "$(answered rows_read)"
    say "$name: $(<"$out/answer.json")"
}

# The settings of a loading session that affect speed, read from the product's source: those of its purpose, and
# a few of the settings of all sessions.
session_settings() {
    {
        sed -n '/Self::Loading(_) => &\[/,/\]/p' src/postgres/session.rs
        grep -E '^ *\("(TimeZone|work_mem|jit|default_toast_compression|wal_compression)",' src/postgres/session.rs
    } | sed -n 's/^ *("\([A-Za-z_]*\)", "\([^"]*\)").*/\1=\2/p' | paste -sd, -
    # The product sets it for each transaction of a walk.
    if grep -q "set_config('synchronous_commit', 'off', true)" src/postgres/loader.rs; then echo synchronous_commit=off; fi
}
