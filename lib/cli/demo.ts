// `millrace demo`: origins and a proxy in front of them in one process, and what to type to see it work.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { checkConfiguration } from '../config/read.ts';
import type { ConfigurationDocument } from '../config/schema.ts';
import { AUTHORITY_FILE } from '../tls/authority.ts';
import { stateFolder } from '../tls/state-folder.ts';
import { type Command, EXIT_FAILED, EXIT_USAGE, LOG_OPTION } from './command.ts';
import { type DemoOrigins, startDemoOrigins } from './demo-origins.ts';
import { openLog, readLogChoice, reportConfigErrors, reportUsage, writeResult } from './output.ts';
import { type Started, serve } from './serve.ts';

export const demoCommand: Command = {
  name: 'demo',
  usage: '',
  summary: 'shows a proxy at work: two origins, HTTP, HTTPS and TCP listeners in one process',
  details: `
Listens on 127.0.0.1:8080 (HTTP), 8443 (HTTPS, by a certificate authority of its own) and 8081 (TCP), or on free ports where those are taken, and prints what to try. Ctrl-C stops it.`,
  options: { log: LOG_OPTION },
  operands: { least: 0, most: 0 },
  async run(given) {
    const choice = readLogChoice(given.options.get('log'));
    if ('fault' in choice) {
      reportUsage([choice.fault], 'millrace demo --help');
      return EXIT_USAGE;
    }
    const origins = await startDemoOrigins();
    const result = checkConfiguration(
      describe(origins, await freePort(HTTP_PORT), await freePort(HTTPS_PORT), await freePort(TCP_PORT)),
      'millrace demo',
    );
    // A port may be taken between the look at it and the listening.
    const elsewhere = checkConfiguration(describe(origins, 0, 0, 0), 'millrace demo');
    if ('errors' in result) {
      reportConfigErrors(result.errors, 'error', choice.format === 'json');
      return EXIT_FAILED;
    }
    // What listens is printed below, in a form made for reading.
    const log = openLog(choice, 'warn');
    const started: Started = (addresses) => {
      const find = (name: string): string => addresses.find(({ listener }) => listener === name)?.address ?? '';
      writeResult(welcome(origins, find('web'), find('secure'), find('echo')));
    };
    const code = await serve(result.configuration, log, {
      started,
      careless: true,
      exclusive: true,
      ...(!('errors' in elsewhere) && { otherwise: elsewhere.configuration }),
    });
    origins.close();
    return code;
  },
};

const LOOPBACK = '127.0.0.1';
const HTTP_PORT = 8080;
const HTTPS_PORT = 8443;
const TCP_PORT = 8081;
const AUTHORITY = join(stateFolder(), 'authority');

function describe(origins: DemoOrigins, httpPort: number, httpsPort: number, tcpPort: number): ConfigurationDocument {
  // Enough to try things, and within what any machine allows.
  const limits = { connections: 200 };
  return {
    // Short: an event stream that nobody wants to see the end of should not hold up Ctrl-C.
    drainTimeout: '1s',
    // Each event loop would take its own turns, and nobody would see that there are turns.
    workers: 0,
    listeners: {
      web: { bind: `${LOOPBACK}:${httpPort}`, protocol: 'http', limits, cluster: 'origins' },
      secure: {
        bind: `${LOOPBACK}:${httpsPort}`,
        tls: { certificates: [{ auto: 'local', names: ['localhost', LOOPBACK], folder: AUTHORITY }] },
        limits,
        cluster: 'origins',
      },
      echo: { bind: `${LOOPBACK}:${tcpPort}`, protocol: 'tcp', limits, cluster: 'echoes' },
    },
    clusters: {
      origins: { endpoints: [...origins.http] },
      echoes: { balance: 'least-connections', endpoints: [...origins.tcp] },
    },
  };
}

/** The port if it can be bound, else 0, which lets the kernel choose one. */
async function freePort(port: number): Promise<number> {
  const probe = createServer();
  try {
    probe.listen(port, LOOPBACK);
    await once(probe, 'listening');
    probe.close();
    await once(probe, 'close');
    return port;
  } catch {
    return 0;
  }
}

function welcome(origins: DemoOrigins, web: string, secure: string, echo: string): string {
  const [host, port] = echo.split(':');
  return `Millrace is running.

  http://${web}/   HTTP, in turn to ${origins.http.join(' and ')}
  https://${secure}/  the same over TLS
  ${echo}          TCP, to the less busy of ${origins.tcp.join(' and ')}

Try, in another terminal:

  1. both origins, in turn
     for i in 1 2 3 4; do curl -s http://${web}/; done

  2. events, each the moment it is sent
     curl -N http://${web}/events

  3. TCP: a greeting, then an echo
     bash -c 'exec 3<>/dev/tcp/${host}/${port}; echo anybody there >&3; head -n 2 <&3'

  4. TLS, trusting the authority that was made for this machine
     curl --cacert ${join(AUTHORITY, AUTHORITY_FILE)} https://${secure}/

Ctrl-C stops it.
`;
}
