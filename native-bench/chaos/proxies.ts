// The proxies that are tormented side by side, each set up as its own documentation recommends for endpoints that fail.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAIN, nginxPaths } from '../host/trials.ts';

export interface Tormented {
  readonly name: string;
  readonly command: string;
  /** Writes what it needs into `folder`; answers its arguments, null when it cannot do what is asked for. */
  prepare(folder: string, setup: Setup): readonly string[] | null;
}

export interface Setup {
  /** Where it listens. */
  readonly port: number;
  /** `HOST:PORT` of each. */
  readonly origins: readonly string[];
  /** 0: none. */
  readonly slowStartS: number;
  /** Where origins are found by name: that name, the port they all have, and the port of the server that knows it. */
  readonly names: { readonly name: string; readonly port: number; readonly server: number } | null;
}

const millrace: Tormented = {
  name: 'millrace',
  command: process.execPath,
  prepare(folder, { port, origins, slowStartS, names }) {
    const file = join(folder, 'millrace.yaml');
    const endpoints =
      names === null
        ? `endpoints: [${origins.map((origin) => `"${origin}"`).join(', ')}]`
        : `discovery: { dns: { name: ${names.name}, port: ${names.port}, every: 1s, minTtl: 500ms, servers: ["127.0.0.1:${names.server}"] } }`;
    writeFileSync(
      file,
      `log: { level: error }
listeners: { web: { bind: "127.0.0.1:${port}", cluster: app } }
clusters:
  app:
    ${endpoints}
    slowStart: ${slowStartS}s
    health: { path: /healthz, interval: 1s, fastInterval: 500ms, timeout: 500ms, rise: 2, fall: 2 }
    ejection: { failures: 3, for: 2s }
    retries: { attempts: 2, on: [connect, reset, refused, timeout, 503], timeout: 1s }
`,
    );
    return [MAIN, 'run', '-c', file];
  },
};

const haproxy: Tormented = {
  name: 'haproxy',
  command: 'haproxy',
  prepare(folder, { port, origins, slowStartS, names }) {
    const file = join(folder, 'haproxy.cfg');
    const check = `check inter 1s fastinter 500ms rise 2 fall 2 observe layer7 error-limit 3 on-error mark-down${slowStartS > 0 ? ` slowstart ${slowStartS}s` : ''}`;
    const servers =
      names === null
        ? origins.map((origin, i) => `  server s${i} ${origin} ${check}`)
        : [
            `  server-template s ${origins.length} ${names.name}:${names.port} ${check} resolvers own resolve-prefer ipv4 init-addr libc,none`,
          ];
    const resolvers =
      names === null
        ? ''
        : `resolvers own
  nameserver own 127.0.0.1:${names.server}
  timeout resolve 1s
  timeout retry 500ms
  hold valid 1s
  hold obsolete 1s
`;
    writeFileSync(
      file,
      `global
  maxconn 4000
  nbthread 1
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 1s
  timeout check 500ms
  retries 2
  option redispatch 1
  retry-on conn-failure empty-response response-timeout 503
  http-reuse safe
${resolvers}frontend web
  bind 127.0.0.1:${port}
  default_backend app
backend app
  option httpchk GET /healthz
${servers.join('\n')}
`,
    );
    return ['-f', file, '-db', '-q'];
  },
};

const nginx: Tormented = {
  name: 'nginx',
  command: 'nginx',
  prepare(folder, { port, origins, slowStartS, names }) {
    const file = join(folder, 'nginx.conf');
    // Lists by name and slow start are for those who pay.
    if (names !== null || slowStartS > 0) return null;
    const servers = origins.map((origin) => `    server ${origin} max_fails=3 fail_timeout=2s;`);
    writeFileSync(
      file,
      `daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off;
${nginxPaths(folder)}
  upstream app {
    zone app 64k;
${servers.join('\n')}
    keepalive 64;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 1s;
      proxy_read_timeout 1s;
      proxy_next_upstream error timeout http_503;
      proxy_next_upstream_tries 3;
    }
  }
}
`,
    );
    return ['-p', folder, '-c', file];
  },
};

export const TORMENTED: readonly Tormented[] = [millrace, haproxy, nginx];
