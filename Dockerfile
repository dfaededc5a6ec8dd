# tipring in a container. docs/OPERATIONS.md, "Docker", tells the rest.
#
#   docker build -t tipring .
#   docker run --rm --network host --security-opt seccomp=tuning/seccomp.json --ulimit memlock=-1 tipring
#
# Seccomp: Docker's default profile refuses io_uring (since 25.0) and, without CAP_BPF, bpf. A profile
# that permits io_uring is needed; how to make tuning/seccomp.json from your Docker's own stands in
# docs/OPERATIONS.md. To try it out, --security-opt seccomp=unconfined will do.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Dependencies and object files survive between builds; the binary must leave the cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p tipring-server \
    && cp target/release/tipring /usr/local/bin/tipring

FROM debian:bookworm-slim
COPY --from=build /usr/local/bin/tipring /usr/local/bin/tipring
COPY config/tipring.toml /etc/tipring/reference.toml
# No privileges by default: shards then hand datagrams over instead of being steered. For steering run
# it with --user 0 --cap-add BPF --cap-add NET_ADMIN.
RUN useradd --system --no-create-home --uid 10001 tipring
USER 10001
# SIGTERM drains: give `docker stop` more time than engine.drain_s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tipring"]
CMD ["run"]
