// The proxies that are operated side by side: how each is configured, reloaded, stopped and replaced, as its own
// documentation says.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processTree } from '../host/accounting.ts';
import { MAIN, nginxPaths, pause } from '../host/trials.ts';

/** What a configuration is made from. */
export interface Plan {
  readonly folder: string;
  readonly port: number;
  readonly origins: readonly number[];
  /** Changes from one reload to the next: the answer to /version, endpoints and timeouts. */
  readonly version: number;
  /** How long old tunnels are allowed to go on after a reload, in seconds; 0 for no limit. */
  readonly limitS: number;
}

export interface Operated {
  readonly name: string;
  readonly command: string;
  /** Where it writes its process id, when it goes into the background; '' when it stays. */
  readonly pidFile: string;
  /** Writes the configuration. */
  configure(plan: Plan): void;
  args(folder: string): readonly string[];
  reload(pid: number): Promise<void>;
  stop(pid: number): void;
  /** Replaces the program while it runs; answers the process id of the next one. */
  upgrade(pid: number, folder: string): Promise<number>;
  /** Ends one worker as a fault would; null where workers do not fail by themselves. */
  readonly killWorker: ((pid: number, tell: (line: string) => void) => void) | null;
}

const INSIDE = fileURLToPath(new URL('./inside.ts', import.meta.url));

/** The endpoints of a version: now one, now the other, now both. */
function endpointsOf({ origins, version }: Plan): readonly number[] {
  return [origins.slice(0, 1), origins.slice(1), origins][version % 3]!;
}

/** Written whole: a proxy may read it at any time. */
function write(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

const millrace: Operated = {
  name: 'millrace',
  command: process.execPath,
  pidFile: '',
  configure(plan) {
    const { folder, port, version } = plan;
    write(
      join(folder, 'millrace.yaml'),
      `workers: 2
log: { level: error }
admin: { bind: "unix:${folder}/admin.sock" }
listeners:
  web:
    bind: "127.0.0.1:${port}"
    routes:
      - { match: { path: /version }, respond: { status: 200, body: "${version}" } }
      - { match: { path: "/only-${version}" }, cluster: app }
      - cluster: app
clusters:
  app:
    endpoints: [${endpointsOf(plan).map((origin) => `"127.0.0.1:${origin}"`)}]
    timeouts: { response: ${10 + (version % 7)}s }
`,
    );
  },
  args: (folder) => ['--expose-gc', '--import', INSIDE, MAIN, 'run', '-c', join(folder, 'millrace.yaml')],
  reload: async (pid) => void process.kill(pid, 'SIGHUP'),
  stop: (pid) => void process.kill(pid, 'SIGTERM'),
  async upgrade(_, folder) {
    const answer = await ask(join(folder, 'admin.sock'), '/v1/upgrade', 'POST');
    const { pid } = answer as { pid?: number };
    if (pid === undefined) throw new Error(JSON.stringify(answer));
    return pid;
  },
  killWorker: (_, tell) => tell('end 0'),
};

const nginx: Operated = {
  name: 'nginx',
  command: 'nginx',
  // In the foreground it does not replace itself.
  pidFile: 'nginx.pid',
  configure(plan) {
    const { folder, port, version, limitS } = plan;
    write(
      join(folder, 'nginx.conf'),
      `pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
worker_processes 2;
${limitS > 0 ? `worker_shutdown_timeout ${limitS}s;` : ''}
events { worker_connections 4096; }
http {
  access_log off;
${nginxPaths(folder)}
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  keepalive_requests 1000000;
  upstream app {
${endpointsOf(plan)
  .map((origin) => `    server 127.0.0.1:${origin};`)
  .join('\n')}
    keepalive 64;
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port} reuseport;
    location = /version { return 200 "${version}"; }
    location = /only-${version} { proxy_pass http://app; }
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout ${600 + (version % 7)}s;
    }
  }
}
`,
    );
  },
  args: (folder) => ['-p', folder, '-c', join(folder, 'nginx.conf')],
  reload: async (pid) => void process.kill(pid, 'SIGHUP'),
  stop: (pid) => void process.kill(pid, 'SIGQUIT'),
  async upgrade(pid, folder) {
    process.kill(pid, 'SIGUSR2');
    const file = join(folder, 'nginx.pid');
    let next = 0;
    await until(() => {
      next = existsSync(`${file}.oldbin`) ? readPid(file) : 0;
      return next > 0;
    }, 'the new master');
    await until(() => processTree(next).length >= 3, 'its workers');
    // Its workers are to serve before those of the old one leave.
    await pause(300);
    process.kill(pid, 'SIGQUIT');
    await until(() => !existsSync(`/proc/${pid}`) || !existsSync(`${file}.oldbin`), 'the old master to end');
    return next;
  },
  killWorker(pid) {
    const [, worker] = processTree(pid);
    process.kill(worker!, 'SIGKILL');
  },
};

const haproxy: Operated = {
  name: 'haproxy',
  command: 'haproxy',
  pidFile: '',
  configure(plan) {
    const { folder, port, version, limitS } = plan;
    write(
      join(folder, 'haproxy.cfg'),
      `global
  maxconn 4000
  nbthread 2
  stats socket ${folder}/stats.sock expose-fd listeners level admin
${limitS > 0 ? `  hard-stop-after ${limitS}s` : ''}
defaults
  mode http
  timeout connect 1s
  timeout client 600s
  timeout server ${600 + (version % 7)}s
  timeout tunnel 600s
  http-reuse always
  option idle-close-on-response
frontend web
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain string "${version}" if { path /version }
  use_backend app if { path /only-${version} }
  default_backend app
backend app
${endpointsOf(plan)
  .map((origin) => `  server s${origin} 127.0.0.1:${origin}`)
  .join('\n')}
`,
    );
  },
  args: (folder) => ['-W', '-db', '-f', join(folder, 'haproxy.cfg')],
  // The master executes itself anew: a reload and an upgrade are the same. Until it is back the signal would end it.
  async reload(pid) {
    await until(() => catches(pid, USR2), 'the master to hear');
    process.kill(pid, 'SIGUSR2');
  },
  stop: (pid) => void process.kill(pid, 'SIGUSR1'),
  async upgrade(pid) {
    const before = new Set(processTree(pid));
    await this.reload(pid);
    await until(() => processTree(pid).some((one) => !before.has(one)), 'the new worker');
    await pause(300);
    return pid;
  },
  killWorker: null,
};

export const OPERATED: readonly Operated[] = [millrace, nginx, haproxy];

/** Whether a process handles a signal itself (proc(5)). */
function catches(pid: number, signal: number): boolean {
  const mask = /^SigCgt:\t([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

const USR2 = 12;

/** 0 while there is none. */
export function readPid(file: string): number {
  return existsSync(file) ? Number(readFileSync(file, 'latin1')) : 0;
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 3000; tries++) {
    if (condition()) return;
    await pause(5);
  }
  throw new Error(`waited in vain for ${what}`);
}

/** Asks the admin API of Millrace. */
export function ask(socketPath: string, path: string, method = 'GET'): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost', ...(method === 'POST' && { 'content-type': 'application/json' }) };
    const sent = request({ socketPath, path, method, headers, agent: false }, (reply) => {
      let text = '';
      reply.on('data', (piece) => (text += piece));
      reply.on('end', () => resolve(JSON.parse(text) as Record<string, unknown>));
    });
    sent.on('error', reject);
    sent.end(method === 'POST' ? '{}' : undefined);
  });
}
