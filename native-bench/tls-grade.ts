// What testssl.sh thinks of our TLS: each profile as it is by default. Fails when it finds anything that would cost the A of
// the SSL Labs rating guide: an old protocol, a weak cipher or key, a vulnerability. Versions before 3.2, which Debian
// has, give no grade themselves.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AUTHORITY_FILE } from '../lib/tls/authority.ts';

/** testssl.sh tries some hundred handshakes. */
const PATIENCE_MS = 10 * 60_000;
const MAIN = fileURLToPath(new URL('../lib/cli/main.ts', import.meta.url));

const GRAVE = ['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'];
/** What only a certificate of a public authority can have, and what is the page's and not the connection's. */
const EXCUSED = [
  'cert_revocation',
  'DNS_CAArecord',
  'security_headers',
  'cert_chain_of_trust',
  'certificate_transparency',
];
const PROTOCOLS = ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2', 'TLS1_3'];

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

const tool = ['testssl', 'testssl.sh'].find((name) => spawnSync(name, ['--version']).error === undefined);
if (tool === undefined) {
  console.error('testssl.sh is not installed: make test-tools');
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'millrace-grade-'));
let worst = 0;
try {
  for (const profile of ['intermediate', 'modern']) worst = Math.max(worst, await grade(tool, profile));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(worst);

/** Prints what was found; 0 for an A or better. */
async function grade(program: string, profile: string): Promise<number> {
  const file = join(folder, `${profile}.yaml`);
  const tls = `certificates: [{ auto: local, names: [localhost], folder: ${folder}/authority }], profile: ${profile}, hsts: {}`;
  writeFileSync(
    file,
    `listeners:\n  web: { bind: "127.0.0.1:0", tls: { ${tls} }, routes: [{ respond: { status: 200, body: ok } }] }\nclusters: {}\n`,
  );
  const proxy = spawn(process.execPath, [MAIN, 'run', '-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const port = await boundPort(proxy.stderr);
    const report = join(folder, `${profile}.json`);
    const authority = join(folder, 'authority', AUTHORITY_FILE);
    const args = ['--quiet', '--color', '0', '--warnings', 'off', '--add-ca', authority, '--jsonfile', report];
    const scan = spawn(program, [...args, '--ip', '127.0.0.1', `localhost:${port}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: PATIENCE_MS,
    });
    await once(scan, 'close');
    const findings = JSON.parse(readFileSync(report, 'utf8')) as Finding[];
    const given = findings.find(({ id }) => id === 'overall_grade')?.finding ?? '';
    const faults = findings.filter(({ id, severity }) => GRAVE.includes(severity) && !EXCUSED.includes(id));
    const offered = findings.filter(({ id, finding }) => PROTOCOLS.includes(id) && finding.startsWith('offered'));
    if (offered.at(-1)?.id !== 'TLS1_3') faults.push({ id: 'TLS1_3', severity: 'HIGH', finding: 'not offered' });
    const hsts = findings.some(({ id, severity }) => id.startsWith('HSTS') && severity === 'OK');
    const grade = given || (faults.length > 0 ? 'below A' : hsts ? 'A+' : 'A');
    console.log(`${profile}: ${grade}, offers ${offered.map(({ id }) => id).join(' ')}`);
    for (const { id, severity, finding } of faults) console.log(`  ${severity} ${id}: ${finding}`);
    return grade.startsWith('A') ? 0 : 1;
  } finally {
    proxy.kill('SIGKILL');
  }
}

async function boundPort(log: NodeJS.ReadableStream): Promise<number> {
  let text = '';
  for await (const piece of log) {
    text += piece;
    const port = /"address":"127\.0\.0\.1:(\d+)"/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`the proxy did not start: ${text}`);
}
