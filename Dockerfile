# syntax=docker/dockerfile:1
# The service as a small image: one binary, CA certificates, no shell tricks. Bases are arguments, for mirrors, and pinned to
# the digests of their images for all platforms (`docker buildx imagetools inspect TAG` shows a newer one).
ARG BUILD_BASE=rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082
ARG FINAL_BASE=debian:bookworm-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251
# Where the binary comes from: the stage `build`, or an image that holds /blueconic-sync, so that a build of the same commit is not
# repeated. `script/image` does so.
ARG BINARY=build

FROM ${BUILD_BASE} AS build
WORKDIR /source
COPY . .
# The commit, which the sources here do not tell: --build-arg BUILD_COMMIT="$(git rev-parse HEAD)". `--version` shows it.
ARG BUILD_COMMIT=
# `script/test` reads the build command from here, so that what it tests is what the image holds.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked -p blueconic-sync --bin blueconic-sync --no-default-features \
    && objcopy --only-keep-debug target/release/blueconic-sync /blueconic-sync.debug \
    && objcopy --strip-all --add-gnu-debuglink=/blueconic-sync.debug target/release/blueconic-sync /blueconic-sync

# The symbols, for backtraces with names: CONTRIBUTING.md says how they are used.
FROM scratch AS symbols
COPY --from=build /blueconic-sync.debug /

FROM ${BINARY} AS binary

FROM ${FINAL_BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
COPY --from=binary /blueconic-sync /usr/local/bin/blueconic-sync
# The embedded PostgreSQL is refused here: a forgotten volume must not lose anybody's data.
ENV BLUECONIC_SYNC_IN_IMAGE=1 \
    BLUECONIC_SYNC__WEB__BIND=0.0.0.0:8080
USER 65532:65532
EXPOSE 8080
# Long enough for the first migrations; `healthcheck` asks /healthz on the address of the settings.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/blueconic-sync", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/blueconic-sync"]
CMD ["serve"]
