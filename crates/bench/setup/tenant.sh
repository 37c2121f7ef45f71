# shellcheck shell=bash disable=SC2154 # `binary`, `reference`, `out`, `profiles` and `distinct` are the caller's
# The simulated tenant of script/bench, in a process of its own. Two starts with the same flags send the same bytes.

tenant_process="" tenant_flags="" port=0
# Before today, so that no increment contains an untouched profile. Fixed for the whole run, also over midnight.
as_of=$(date -u -d yesterday +%F)T00:00:00Z

# start_tenant FLAGS…: starts a tenant with these flags, unless it runs already. The port stays the same; otherwise the
# databases would belong to another tenant.
start_tenant() {
    if [[ -n $tenant_process && $tenant_flags == "$profiles $*" ]]; then return 0; fi
    stop_tenant
    tenant_flags="$profiles $*"
    : >"$out/tenant.env"
    "$binary" simulate-tenant --rendered --distinct "$distinct" --as-of "$as_of" --profiles "$profiles" \
        --port "$port" "$@" >"$out/tenant.env" 2>"$out/tenant.log" &
    tenant_process=$!
    until grep -q SECRET "$out/tenant.env"; do
        if ! kill -0 "$tenant_process" 2>/dev/null; then
            say "the simulated tenant did not start: see $out/tenant.log"
            return 1
        fi
        sleep 0.1
    done
    set -a
    # shellcheck source=/dev/null
    . "$out/tenant.env"
    set +a
    port=${BLUECONIC_URL##*:}
    # Once without measuring: the tenant renders its profiles into memory.
    "$reference" drain --page-size "$page_size" >/dev/null
    # The tenant's `Date` has whole seconds: a profile touched in this second is not in the past yet.
    sleep 1
}

stop_tenant() {
    if [[ -n $tenant_process ]]; then
        kill "$tenant_process" 2>/dev/null || true
        wait "$tenant_process" 2>/dev/null || true
        tenant_process=""
    fi
}
