// Identities, the store that chooses among them, tickets and the gate of handshakes: each on its own.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { makeAuthority, makeLeaf } from '../../certs/make.ts';
import { HandshakeGate, type Waiting } from '../../lib/tls/gate.ts';
import { Identity, readIdentity } from '../../lib/tls/identity.ts';
import { CertificateStore } from '../../lib/tls/store.ts';
import { TICKET_TURN_MS, TicketKeys, ticketSecret } from '../../lib/tls/ticket.ts';
import { Certificates } from '../support/certificates.ts';

const OPTIONS = {
  profile: 'intermediate',
  minVersion: null,
  ciphers: null,
  curves: null,
  clientAuthorities: '',
  resumptionMs: 1000,
  sessionScope: 'test',
} as const;

function identity(certificates: Certificates, ...names: string[]): Identity {
  const { cert, key } = certificates.leaf(names);
  const read = readIdentity(cert, key);
  assert.ok(read instanceof Identity, JSON.stringify(read));
  return read;
}

function stores(t: TestContext, sources: number): { certificates: Certificates; store: CertificateStore } {
  return {
    certificates: new Certificates(t),
    store: new CertificateStore(sources, OPTIONS, new TicketKeys(ticketSecret())),
  };
}

test('what is wrong with a certificate and its key is told in words that hold no secret', (t) => {
  const certificates = new Certificates(t);
  const { cert, key } = certificates.leaf(['a.test']);
  const other = certificates.leaf(['b.test']);
  const fault = (chain: string, secret: string): string => {
    const read = readIdentity(chain, secret);
    return 'fault' in read ? read.fault : '';
  };
  assert.equal(fault(cert, key), '');
  assert.match(fault('text', key), /not PEM of an X.509 certificate/);
  assert.match(fault(cert, 'text'), /not a PEM private key/);
  assert.match(fault(cert, cert), /not a PEM private key/);
  assert.match(fault(cert, other.key), /does not belong to the certificate/);
  const locked = '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n';
  assert.match(fault(cert, locked), /encrypted; give one without a passphrase/);
  for (const chain of [cert, 'x']) assert.ok(!fault(chain, other.key).includes(other.key.slice(40, 60)));
});

test('a certificate holds for its alternative names in lower case, addresses included', (t) => {
  const certificates = new Certificates(t);
  const one = identity(certificates, 'A.test', '*.b.test', '127.0.0.1');
  assert.deepEqual(one.names, ['a.test', '*.b.test', '127.0.0.1']);
  assert.equal(one.keyKind, 'ec');
  assert.match(one.fingerprint, /^[0-9a-f]{64}$/);
  assert.ok(!JSON.stringify(one).includes('PRIVATE'));
});

test('names lead to their entry, replaced parts leave the others alone, and what stays keeps its context', (t) => {
  const { certificates, store } = stores(t, 2);
  assert.equal(store.find('a.test'), null);
  assert.equal(store.replace(0, [identity(certificates, 'a.test', '*.w.test')]), '');
  assert.equal(store.replace(1, [identity(certificates, 'b.test')]), '');
  const [a, b] = [store.find('a.test'), store.find('b.test')];
  assert.notEqual(a, b);
  assert.equal(store.find('x.w.test'), a);
  assert.equal(store.named('x.y.w.test'), null);
  assert.equal(store.find('other.test'), a, 'the first serves where none fits');
  assert.equal(store.replace(1, [identity(certificates, 'c.test')]), '');
  assert.equal(store.find('a.test'), a, 'the same context');
  assert.equal(store.named('b.test'), null);
  assert.ok(store.named('c.test') !== null);
});

test('of one name the first certificate of each kind of key serves, both in one context', (t) => {
  const { certificates, store } = stores(t, 3);
  const rsa = makeLeaf(makeAuthority(), { names: ['a.test'] });
  const second = readIdentity(rsa.cert, rsa.key);
  assert.ok(second instanceof Identity);
  store.replace(0, [identity(certificates, 'a.test')]);
  store.replace(1, [second]);
  store.replace(2, [identity(certificates, 'a.test')]);
  assert.deepEqual(
    store.find('a.test')!.identities.map(({ keyKind }) => keyKind),
    ['ec', 'rsa'],
  );
});

test('keys of tickets are the same wherever the secret is, change with the clock and open what two turns before made', () => {
  let now = 1_700_000_000_000;
  const secret = ticketSecret();
  const one = new TicketKeys(secret, () => now);
  const other = new TicketKeys(secret, () => now);
  const first = one.current();
  assert.deepEqual(other.current(), first);
  assert.deepEqual(one.find(first.name), { key: first, fresh: true });
  now += TICKET_TURN_MS;
  const second = one.current();
  assert.notDeepEqual(second, first);
  assert.equal(one.find(first.name)?.fresh, false);
  assert.deepEqual(other.find(second.name)?.key, second, 'without a message between them');
  now += 2 * TICKET_TURN_MS;
  assert.equal(one.find(first.name), null);
  assert.equal(one.find(second.name)?.fresh, false);
  now -= 10 * TICKET_TURN_MS;
  assert.equal(one.find(first.name), null, 'a clock that was put back brings nothing back');
  assert.equal(one.find(Buffer.alloc(16)), null);
  assert.notDeepEqual(new TicketKeys(ticketSecret(), () => now).current(), one.current());
});

test('a few handshakes begin in one turn, the others in order, and those that are gone take nobody’s place', async () => {
  const gate = new HandshakeGate(10);
  const begun: number[] = [];
  const waiting = (number: number, gone = false): Waiting => ({
    begin() {
      if (!gone) begun.push(number);
      return !gone;
    },
  });
  for (let number = 0; number < 10; number++) assert.ok(gate.enter(waiting(number, number === 5)));
  assert.equal(gate.enter(waiting(10)), false, 'no more than that in flight');
  assert.deepEqual(begun, [0, 1, 2, 3]);
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await turn();
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 6, 7, 8]);
  await turn();
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
  assert.equal(gate.inFlight, 10);
  for (let number = 0; number < 10; number++) gate.leave();
  assert.ok(gate.enter(waiting(11)));
  await turn();
  assert.equal(begun.at(-1), 11);
});
