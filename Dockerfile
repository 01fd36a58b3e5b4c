# Millrace in a container: the executable and the shared libraries that it names, nothing else, as a user without rights.
#
#   docker build -t millrace .
#   docker run -p 8080:8080 -v "$PWD/millrace.yaml:/etc/millrace/millrace.yaml:ro" millrace

FROM node:24-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends binutils make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /millrace
# Packages first: they change less often than the sources.
COPY package.json package-lock.json Makefile ./
RUN make install
COPY . .
RUN make binary \
 && packaging/image-root.sh /image \
 && node packaging/notices.ts >/image/NOTICES

FROM scratch
COPY --from=build /image /
# By number, so that a cluster can see that it is not root.
USER 65532:65532
ENV MILLRACE_STATE=/var/lib/millrace
VOLUME /var/lib/millrace
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/millrace"]
CMD ["run", "-c", "/etc/millrace/millrace.yaml"]
