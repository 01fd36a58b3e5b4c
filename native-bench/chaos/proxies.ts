// The proxies that are tormented side by side, each set up as its own documentation recommends for endpoints that fail.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Tormented {
  readonly name: string;
  readonly command: string;
  /** Writes what it needs into `folder`; answers its arguments. */
  prepare(folder: string, port: number, origins: readonly number[]): readonly string[];
}

const MAIN = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url));

const millrace: Tormented = {
  name: 'millrace',
  command: process.execPath,
  prepare(folder, port, origins) {
    const file = join(folder, 'millrace.yaml');
    writeFileSync(
      file,
      `log: { level: error }
listeners: { web: { bind: "127.0.0.1:${port}", cluster: app } }
clusters:
  app:
    endpoints: [${origins.map((origin) => `"127.0.0.1:${origin}"`).join(', ')}]
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
  prepare(folder, port, origins) {
    const file = join(folder, 'haproxy.cfg');
    const servers = origins.map(
      (origin, i) =>
        `  server s${i} 127.0.0.1:${origin} check inter 1s fastinter 500ms rise 2 fall 2 observe layer7 error-limit 3 on-error mark-down`,
    );
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
frontend web
  bind 127.0.0.1:${port}
  default_backend app
backend app
  option httpchk GET /healthz
${servers.join('\n')}
`,
    );
    return ['-f', file, '-db'];
  },
};

const nginx: Tormented = {
  name: 'nginx',
  command: 'nginx',
  prepare(folder, port, origins) {
    const file = join(folder, 'nginx.conf');
    const servers = origins.map((origin) => `    server 127.0.0.1:${origin} max_fails=3 fail_timeout=2s;`);
    writeFileSync(
      file,
      `daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
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
