// The process of a crowd: gathers its connections some hundred at a time, says so, and holds them until it is told to
// end by SIGTERM or its parent is gone.

import { readFileSync } from 'node:fs';
import type { CrowdSpec } from '../crowd.ts';
import { endWithParent } from '../end-with-parent.ts';
import { DrippingMember, IdleMember, type Member, ReadingMember, type Watcher } from './member.ts';

/** As many connect at the same time: fewer than the backlog of any proxy. */
const AT_ONCE = 200;
const GATHER_MS = 30_000;
/** Members move once a second, but not all at once. */
const BEAT_MS = 1_000;
const SLICES = 20;
/** Read beforehand: at the limit itself no file can be opened to ask for it. */
const MOST_FILES = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 'unknown';
const FILE_LIMIT = `limit of open files (${MOST_FILES}, see ulimit -n)`;

const spec = JSON.parse(process.argv[2]!) as CrowdSpec;
const members: Member[] = [];
let joined = 0;
let closed = 0;
let slice = 0;

const watcher: Watcher = {
  joined() {
    joined++;
    if (joined === spec.connections) say('ready', String(joined));
    else invite();
  },
  closed() {
    closed++;
    if (spec.kind === 'idle' && joined < spec.connections) fail('the proxy closes them before all are there');
  },
  failed: fail,
};

endWithParent(spec.parentPid);
process.once('SIGTERM', () => {
  say('left', JSON.stringify({ open: members.filter((member) => member.open).length, closed }));
  process.exit(0);
});
setTimeout(() => {
  if (joined < spec.connections) fail(`no answer within ${GATHER_MS / 1000} s; it may be at its ${FILE_LIMIT}`);
}, GATHER_MS);
setInterval(beat, BEAT_MS / SLICES);
for (let count = 0; count < AT_ONCE; count++) invite();

/** One more begins to connect, if any is missing. */
function invite(): void {
  if (members.length === spec.connections) return;
  const member = make(members.length);
  members.push(member);
  member.start();
}

function make(index: number): Member {
  if (spec.kind === 'idle') return new IdleMember(spec.port, watcher, spec.secure ?? false);
  return index % 2 === 0 ? new DrippingMember(spec.port, watcher) : new ReadingMember(spec.port, watcher);
}

function beat(): void {
  for (let index = slice; index < members.length; index += SLICES) members[index]!.beat();
  slice = (slice + 1) % SLICES;
}

function fail(reason: string): void {
  const why = reason === 'EMFILE' ? `this process is at its ${FILE_LIMIT}` : reason;
  say('failed', `only ${joined} of ${spec.connections} connections came up: ${why}`);
  process.exit(1);
}

function say(word: string, rest: string): void {
  process.stdout.write(`${word} ${rest}\n`);
}
