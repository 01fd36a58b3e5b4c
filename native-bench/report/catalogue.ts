// What `millrace bench --list` prints: scenarios with their targets, and peers with what is installed of them.

import { PEERS, SCENARIOS } from '../catalogue.ts';
import { locate } from '../peers/peer.ts';
import { targetText } from './wording.ts';

/** The whole list, in lines. Asks every peer for its version. */
export function describeCatalogue(): string {
  const lines = ['Scenarios'];
  for (const { name, title, peers, targets, unbuilt } of SCENARIOS) {
    lines.push(`  ${name}: ${title}`);
    if (unbuilt !== null) lines.push(`    left out: ${unbuilt}`);
    lines.push(`    peers: ${peers.join(', ')}`);
    for (const target of targets) lines.push(`    target: ${targetText(target)}`);
  }
  lines.push('Peers');
  for (const peer of PEERS) {
    const located = locate(peer);
    lines.push(`  ${peer.name}: ${peer.about}`, `    ${'version' in located ? located.version : located.missing}`);
  }
  return `${lines.join('\n')}\n`;
}
