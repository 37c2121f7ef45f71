# shellcheck shell=bash disable=SC2154 # `profiles`, `turn`, `out` and the programs are the caller's
# The cases of script/bench. Each group has databases of its own, so that it can run alone; `loads` and
# `increment` share theirs.

# The upper limits: the tenant, JSON, COPY. The read rows are all of the tenant's.
group_limits() {
    start_tenant
    fresh_database limits
    use_database limits
    limit drain drain
    limit boundaries boundaries
    limit 'raw values' boundaries --ends raw-value
    limit 'copy 1' copy-limit --rows 200000 --connections 1 --session "$session"
    limit 'copy 2' copy-limit --rows 200000 --connections 2 --session "$session"
}

group_loads() {
    start_tenant
    fresh_database product
    fresh_database reference
    both full
    compare_digests full
    # Otherwise autovacuum would run within the next minute and slow one of the two.
    local side
    for side in product reference; do sql 'vacuum blueconic.profiles' "$side"; done
    both unchanged
    if ((profiles > 1000000)); then return; fi
    start_tenant --touched $((profiles / 100)) --touched-at "$touched_at"
    both changed
    compare_digests changed
}

# An increment that returns 1,000 profiles, whatever is stored.
group_increment() {
    if [[ $(sql "select count(*) from pg_database where datname = 'product'") == 0 ]]; then
        fresh_database product
        start_tenant
        use_database product
        "$binary" backfill --full profiles >/dev/null 2>>"$out/product.log"
    fi
    # Once without measuring, so that the needed pages are in memory, and then the same profiles again.
    local name
    for name in 'increment before' increment; do
        start_tenant --touched 1000 --touched-at "$(date -u -d '5 seconds ago' +%FT%TZ)"
        product product "$name" profiles
    done
    if [[ $(answered rows_read) != 1000 ]]; then
        say "the increment read $(answered rows_read) profiles, not 1,000"
        return 1
    fi
}

group_audit() {
    start_tenant --audit-events 100000 --audit-oldest-first
    fresh_database audit
    product audit audit audit_events
}

group_latency() {
    start_tenant --latency 100
    fresh_database late
    product late 'late full' --full profiles
    product late 'late unchanged' --full profiles
}

# Compared, at the same time, with a tenant in which as many correct profiles are rendered separately.
group_broken() {
    local name
    local -A flags=([sound]="--touched $((profiles / 100)) --touched-at $touched_at" [broken]="--broken $((profiles / 100))")
    local names=(sound broken)
    if ((turn % 2)); then names=(broken sound); fi
    for name in "${names[@]}"; do
        # shellcheck disable=SC2086 # several flags
        start_tenant ${flags[$name]}
        fresh_database "$name"
        product "$name" "$name full" --full profiles
        product "$name" "$name unchanged" --full profiles
    done
}

# Ten events for each profile, in a database with their timelines and in one without.
group_timelines() {
    local database
    local databases=(without with)
    if ((turn % 2)); then databases=(with without); fi
    start_tenant --timeline-events 10
    for database in "${databases[@]}"; do
        fresh_database "${database}_timelines"
        if [[ $database == with ]]; then export BLUECONIC_SYNC__RESOURCES__PROFILES__TIMELINE=with_profiles; fi
        product "${database}_timelines" "$database timelines, full" --full profiles
        product "${database}_timelines" "$database timelines, unchanged" --full profiles
        unset BLUECONIC_SYNC__RESOURCES__PROFILES__TIMELINE
    done
    say "events: $(sql 'select count(*) from blueconic.timeline_events' with_timelines)"
}

# Typed columns beside all of `properties`, with the rest of it, and none, each in a database of its own that knows the catalogue.
group_typed() {
    local form
    start_tenant
    for form in off all rest; do
        fresh_database "typed_$form"
        use_database "typed_$form"
        case $form in
            off) export BLUECONIC_SYNC__RESOURCES__PROFILES__TYPED_COLUMNS=false ;;
            *) export BLUECONIC_SYNC__RESOURCES__PROFILES__PROPERTIES_JSON=$form ;;
        esac
        "$binary" backfill profile_properties >/dev/null 2>>"$out/product.log"
        product "typed_$form" "typed $form, full" --full profiles
        sql 'vacuum analyze blueconic.profiles' "typed_$form"
        product "typed_$form" "typed $form, unchanged" --full profiles
        unset BLUECONIC_SYNC__RESOURCES__PROFILES__TYPED_COLUMNS BLUECONIC_SYNC__RESOURCES__PROFILES__PROPERTIES_JSON
    done
}

# Twice is enough: memory hardly varies.
group_memory() {
    if ((turn > 2)); then return; fi
    local count
    start_tenant
    for count in 1000 10000 100000 1000000; do
        fresh_database memory
        export BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE=$count
        product memory "full, pages of $count" --full profiles
        product memory "unchanged, pages of $count" --full profiles
        export BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE=$page_size
    done
    sql 'drop database memory'
    fresh_database lists
    start_tenant --properties 5000
    product lists lists segments profile_properties
}

# On an empty database: the migrations are part of it.
group_first_row() {
    start_tenant
    sql 'drop database if exists first'
    sql 'create database first'
    use_database first
    "$table" first-row -- "$binary" backfill --full profiles >"$scratch/took" 2>>"$out/product.log"
    record 'first row' product seconds "$(awk '{ print $2 }' "$scratch/took")"
    say "first row: $(<"$scratch/took")"
}

# `serve` with everything on first loads everything; after that nothing is due. Messages, signs of life and traces go to a sink, and
# somebody scrapes the metrics every 15 seconds.
group_idle() {
    if ((turn > 1)); then return; fi
    local service sink before after name address
    start_tenant
    fresh_database idle
    use_database idle
    "$sink_binary" >"$scratch/sink" &
    sink=$!
    until [[ -s $scratch/sink ]]; do sleep 0.1; done
    (
        for name in $("$binary" config show | grep -oE 'resources\.[a-z_]+\.(full_)?schedule'); do
            name=${name^^}
            export "BLUECONIC_SYNC__${name//./__}=0 0 1 1 *"
        done
        BLUECONIC_SYNC_WEBHOOK_URL=$(<"$scratch/sink")/webhook
        BLUECONIC_SYNC_HEARTBEAT_URL=$(<"$scratch/sink")/heartbeat
        BLUECONIC_SYNC__LOG__TRACES_URL=$(<"$scratch/sink")/v1/traces
        export BLUECONIC_SYNC_WEBHOOK_URL BLUECONIC_SYNC_HEARTBEAT_URL BLUECONIC_SYNC__LOG__TRACES_URL
        export BLUECONIC_SYNC__LIMITS__REQUESTS_PER_MONTH=100000000
        exec "$binary" serve --bind 127.0.0.1:0
    ) >/dev/null 2>"$scratch/service.log" &
    service=$!
    until [[ $(sql "select count(*) > 5 and bool_and(next_run_at > now() and coalesce(claimed_until <= now(), true)) from sync.schedule" idle) == t ]]; do
        sleep 0.5
    done
    sleep 60
    address=$(grep -o 'http://127\.0\.0\.1:[0-9]*' "$scratch/service.log" | head -n 1)
    before=$(busy_nanoseconds "$service")
    for name in {1..4}; do
        sleep 15
        curl --silent --fail --output /dev/null "$address/metrics"
    done
    after=$(busy_nanoseconds "$service")
    record idle product share "$(awk "BEGIN { print ($after - $before) / 60e9 }")"
    record idle product resident "$(awk '/^VmRSS/ { print $2 }' "/proc/$service/status")"
    cat "$scratch/service.log" >>"$out/product.log"
    kill "$service" "$sink"
    wait "$service" "$sink" || true
    tail -n 2 "$results" >&2
}

# This is finer than the ticks of /proc/PROCESS/stat.
busy_nanoseconds() { cat "/proc/$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'; }
