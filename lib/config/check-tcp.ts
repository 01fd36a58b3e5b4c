// Clusters that nobody but TCP uses: what says something of HTTP alone is without effect there. Works on the document as
// written, like check.ts.

import type { DocumentPath, Finding } from './error.ts';
import { record } from './shape.ts';

type Section = Readonly<Record<string, unknown>>;

/** Keys of a cluster, and of its sections, that mean something to HTTP alone. */
const KEYS = ['sticky', 'retries', 'adaptive'];
const SECTIONS: Readonly<Record<string, readonly string[]>> = {
  pool: ['idle', 'idleTimeout', 'warm', 'maxAge', 'maxRequests'],
  timeouts: ['response', 'idle'],
};
const NO_MEANING = 'has no meaning for TCP, and nothing else uses this cluster; remove it';

/** Checks a cluster that TCP listeners, fallbacks and passthrough use, and no route. */
export function checkTcpCluster(path: DocumentPath, cluster: Section): Finding[] {
  const findings: Finding[] = [];
  const refuse = (keys: readonly string[], message = NO_MEANING): void => {
    findings.push({ path: [...path, ...keys], message, atKey: true });
  };
  const { on } = record(cluster['hash']);
  if (typeof on === 'string' && on !== 'client-ip')
    findings.push({
      path: [...path, 'hash', 'on'],
      message: `"${on}" is not known of TCP, and nothing else uses this cluster; use client-ip`,
    });
  for (const key of KEYS) if (cluster[key] !== undefined) refuse([key]);
  for (const [section, keys] of Object.entries(SECTIONS)) {
    const given = record(cluster[section]);
    for (const key of keys) if (given[key] !== undefined) refuse([section, key]);
  }
  // Checks by gRPC need it, whatever the traffic is.
  if (cluster['protocol'] === 'h2' && record(cluster['health'])['grpc'] === undefined) refuse(['protocol']);
  return findings;
}
