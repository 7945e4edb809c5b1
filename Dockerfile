# Both images: docker build --target nawhas . and docker build --target manager .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH
ARG VERSION=3.1.2
ARG COMMIT=unknown
ARG OPERATOR=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ENV CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH
ARG INFO=github.com/nawhas/nawhas-operator/internal/buildinfo
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -ldflags "-s -w -X $INFO.Version=$VERSION -X $INFO.Commit=$COMMIT" -o /out/nawhas ./cmd/nawhas && \
    go build -trimpath -ldflags "-s -w -X $INFO.Commit=$COMMIT -X $INFO.Operator=$OPERATOR" -o /out/manager ./cmd/manager

FROM gcr.io/distroless/static-debian12:nonroot AS base
# The programs are also found by their names, as in `command: [nawhas, replay]`.
ENV PATH=/
USER 65532

FROM base AS manager
COPY --from=build /out/manager /manager
ENTRYPOINT ["/manager"]

FROM base AS nawhas
COPY --from=build /out/nawhas /nawhas
ENTRYPOINT ["/nawhas"]
