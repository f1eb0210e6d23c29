# The engine as a server, and the agent as another user, who can ask and nothing else: see
# patchctl/docs/serve.md, whose commands these are.

FROM rust:1.91-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked -p patchctl --bin patchctl

FROM debian:bookworm-slim
# What --verify runs, and what the agent does, needs programs of its own: add them here.
RUN apt-get update \
    && apt-get install -y --no-install-recommends curl git \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/target/release/patchctl /usr/local/bin/patchctl
RUN useradd --system patchctl && useradd --create-home agent
RUN install -d -o patchctl -g patchctl -m 755 /srv/tree /run/patchctl
VOLUME /srv/tree
USER patchctl
ENTRYPOINT ["patchctl", "serve", "--root", "/srv/tree", "--socket", "/run/patchctl/socket", "--socket-mode", "666"]
# What the operator allows: options of `serve` behind the name of the image take the place of this.
CMD ["--agent", "codex"]
