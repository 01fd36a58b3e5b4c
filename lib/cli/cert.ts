// `millrace cert`: the local authority and leaves of it, for services that read files. Listeners with `auto: local` need none
// of this.

import { X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { AUTHORITY_FILE, issueLeaf, openAuthority } from '../tls/authority.ts';
import { stateFolder } from '../tls/state-folder.ts';
import { type Command, EXIT_FAILED, EXIT_FINE, EXIT_USAGE } from './command.ts';
import { reportUsage, writeResult } from './output.ts';

export const certCommand: Command = {
  name: 'cert',
  usage: '[authority | leaf NAME...]',
  summary: 'keeps a certificate authority for names of your own machines',
  details: `
  millrace cert authority              where its certificate lies and how to trust it; makes it when there is none
  millrace cert leaf NAME...           one certificate for these names and addresses, valid for 90 days

The authority is kept in a folder that only you can read: $MILLRACE_STATE/authority, or below ~/.local/state/millrace.
Whoever has its key can pretend to be any site towards those who trust it.`,
  options: {
    folder: { value: 'FOLDER', summary: 'keep the authority in this folder' },
    out: { value: 'FOLDER', summary: 'leaf: write NAME.pem and NAME.key into this folder (.)' },
  },
  operands: { least: 0, most: 100 },
  async run(given) {
    const [what = 'authority', ...names] = given.operands;
    const faults = faultsOf(what, names, given.options.has('out'));
    if (faults.length > 0) {
      reportUsage(faults, 'millrace cert --help');
      return EXIT_USAGE;
    }
    const folder = resolve(given.options.get('folder') ?? join(stateFolder(), 'authority'));
    try {
      if (what === 'authority') writeResult(describeAuthority(folder));
      else writeResult(writeLeaf(folder, resolve(given.options.get('out') ?? '.'), names));
      return EXIT_FINE;
    } catch (error) {
      process.stderr.write(`millrace: ${(error as Error).message}\n`);
      return EXIT_FAILED;
    }
  },
};

function faultsOf(what: string, names: readonly string[], out: boolean): string[] {
  if (what !== 'authority' && what !== 'leaf') return [`unknown "${what}": write authority or leaf NAME...`];
  if (what === 'authority') {
    const faults = names.length > 0 ? [`unexpected argument "${names[0]}"`] : [];
    return out ? [...faults, '--out goes with leaf alone'] : faults;
  }
  if (names.length === 0) return ['leaf needs at least one NAME: millrace cert leaf localhost'];
  return names.filter((name) => !certifiable(name)).map((name) => `"${name}" is neither a DNS name nor an address`);
}

function certifiable(name: string): boolean {
  const plain = name.startsWith('*.') ? name.slice(2) : name;
  return isIP(name) !== 0 || (plain.length <= 253 && /^([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}$/.test(plain));
}

function describeAuthority(folder: string): string {
  const { cert } = openAuthority(folder);
  const { fingerprint256, subject, validTo } = new X509Certificate(cert);
  const file = join(folder, AUTHORITY_FILE);
  return `${subject.replace(/^CN=/, '')}
  certificate  ${file}
  fingerprint  ${fingerprint256}
  valid until  ${new Date(validTo).toISOString().slice(0, 10)}

To trust it:
  one command        curl --cacert ${file} https://localhost:8443/
  Node               NODE_EXTRA_CA_CERTS=${file}
  Debian, Ubuntu     sudo cp ${file} /usr/local/share/ca-certificates/millrace.crt && sudo update-ca-certificates
  Fedora             sudo trust anchor ${file}
  macOS              sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${file}
  Windows            certutil -addstore -f ROOT ${file}
  Chromium on Linux  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n millrace -i ${file}
  Firefox            Settings, Privacy & Security, View Certificates, Authorities, Import
`;
}

function writeLeaf(folder: string, out: string, names: readonly string[]): string {
  const { cert, key } = issueLeaf(
    openAuthority(folder),
    names.map((name) => name.toLowerCase()),
  );
  // `*` and `:` are trouble in the names of files.
  const base = join(out, names[0]!.toLowerCase().replace('*', '_').replaceAll(':', '-'));
  mkdirSync(out, { recursive: true });
  writeFileSync(`${base}.key`, key, { mode: 0o600 });
  writeFileSync(`${base}.pem`, cert);
  return `certificate  ${base}.pem\nkey          ${base}.key\n`;
}
