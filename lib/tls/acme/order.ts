// One certificate from an authority: from its order to the chain, with a new key. When that is due is the issuer's.

import { readFileSync } from 'node:fs';
import { readIdentity } from '../identity.ts';
import type { AcmeCertificate } from '../options.ts';
import type { Pair } from '../x509.ts';
import { putUp } from './challenge.ts';
import { type Authorization, Client } from './client.ts';
import type { AcmeFolder } from './folder.ts';
import { certificateRequest, makeKey } from './request.ts';

/** Gets a certificate for these names; rejects in words, which hold no secret. */
export async function orderCertificate(
  names: readonly string[],
  options: AcmeCertificate,
  folder: AcmeFolder,
  signal: AbortSignal,
): Promise<Pair> {
  const ca = options.ca === '' ? '' : readFileSync(options.ca, 'utf8');
  const client = new Client({ ...options, ca }, folder.accountKey(), signal);
  try {
    await client.open();
    const order = await client.order(names);
    // One after the other: a wildcard and its own domain are proved by records of the same name.
    for (const url of order.authorizations) {
      const authorization = await client.authorization(url);
      if (authorization.status !== 'valid') await prove(client, authorization, options, folder, signal);
    }
    const key = makeKey();
    const cert = await client.finish(order, certificateRequest(names, key));
    const pair = { cert, key };
    checkIssued(names, pair);
    return pair;
  } finally {
    client.close();
  }
}

async function prove(
  client: Client,
  authorization: Authorization,
  { challenge, dnsHook }: AcmeCertificate,
  folder: AcmeFolder,
  signal: AbortSignal,
): Promise<void> {
  const { name, challenges } = authorization;
  const offered = challenges.find(({ type }) => type === challenge);
  if (offered === undefined) {
    const types = challenges.map(({ type }) => type.slice(0, 20)).join(', ');
    throw new Error(`${name}: the authority offers ${types || 'no challenge'}, not ${challenge}`);
  }
  const answer = client.answerTo(offered);
  const up = await putUp(challenge, { name, token: offered.token, answer }, folder, dnsHook, signal);
  try {
    await client.prove(authorization, offered);
  } finally {
    await up.takeDown();
  }
}

function checkIssued(names: readonly string[], { cert, key }: Pair): void {
  const identity = readIdentity(cert, key);
  if ('fault' in identity) throw new Error(`the authority issued what cannot be used: ${identity.fault}`);
  const missing = names.filter((name) => !identity.names.includes(name));
  if (missing.length > 0) throw new Error(`the authority issued a certificate without ${missing.join(' ')}`);
  if (identity.notAfterMs < Date.now()) throw new Error('the authority issued a certificate that has expired');
}
