// Starts the common origin: nginx where it is installed, else our own, which also answers WebSocket. What they have to
// give stands in content.ts, and is the same in both.

import { callProgram } from '../../lib/base/asset.ts';
import { freePort } from '../host/port.ts';
import type { Child, Launch, Scope } from '../host/scope.ts';
import { locateNginx } from '../peers/nginx/peer.ts';
import { accepting, lastWords, type SecureSetup } from '../peers/peer.ts';
import { launchNginxOrigin } from './nginx.ts';

/** Where an origin is to run and what it must be able to do: nginx cannot answer WebSocket. */
export interface OriginPlace {
  /** One worker each; empty for one wherever the kernel likes. */
  readonly cores: readonly number[];
  readonly kind: 'plain' | 'websocket';
}

/** An origin that accepts connections on loopback `port`; `version` says what it is. */
export interface Origin {
  readonly child: Child;
  readonly port: number;
  readonly version: string;
}

/** Starts the best origin that there is. Throws with what it said when it does not start. */
export function startOrigin(scope: Scope, { cores, kind }: OriginPlace): Promise<Origin> {
  const nginx = locateNginx();
  if (kind === 'websocket' || 'missing' in nginx) return startOwnOrigin(scope, cores);
  return startNginxOrigin(scope, cores);
}

/** The one that nginx serves. Throws when nginx is not installed. */
export async function startNginxOrigin(scope: Scope, cores: readonly number[]): Promise<Origin> {
  const located = locateNginx();
  if ('missing' in located) throw new Error(located.missing);
  return start(scope, cores, located.version, (port, workers) => launchNginxOrigin(scope.folder(), port, workers));
}

/**
 * One that speaks TLS itself, to see what the load can reach without a proxy; null without nginx, since ours does not. What
 * stands behind proxies is asked in the clear.
 */
export async function startSecureOrigin(
  scope: Scope,
  cores: readonly number[],
  setup: SecureSetup,
): Promise<Origin | null> {
  const located = locateNginx();
  if ('missing' in located) return null;
  const launch = (port: number, workers: number): Omit<Launch, 'cores'> =>
    launchNginxOrigin(scope.folder(), port, workers, setup);
  return start(scope, cores, located.version, launch);
}

/** The one that comes with Millrace. */
export function startOwnOrigin(scope: Scope, cores: readonly number[]): Promise<Origin> {
  return start(scope, cores, `Millrace's own on Node ${process.version}`, (port, workers) =>
    callProgram('native-bench/origin/own/main', [String(port), String(workers)]),
  );
}

async function start(
  scope: Scope,
  cores: readonly number[],
  version: string,
  launch: (port: number, workers: number) => Omit<Launch, 'cores'>,
): Promise<Origin> {
  const port = await freePort();
  const child = scope.start('origin', { ...launch(port, Math.max(cores.length, 1)), cores });
  if (!(await accepting(child, port))) throw new Error(`the origin did not start: ${lastWords(child)}`);
  return { child, port, version };
}
