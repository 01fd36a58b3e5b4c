// How a name is shown to be ours: the three challenges, each put up before the authority looks and taken down after.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { AcmeCertificate } from '../options.ts';
import type { AcmeFolder } from './folder.ts';
import { challengeCertificate } from './request.ts';

export type ChallengeType = AcmeCertificate['challenge'];

/** DNS takes its time to spread, and the hook waits for it. */
const HOOK_MS = 10 * 60_000;

/** What has been put up. */
export interface PutUp {
  /** Never rejects: what cannot be taken down does no harm. */
  takeDown(): Promise<void>;
}

/** Puts up the answer to a challenge of `name`; `token` has been checked. Rejects in words. */
export async function putUp(
  type: ChallengeType,
  { name, token, answer }: { readonly name: string; readonly token: string; readonly answer: string },
  folder: AcmeFolder,
  hook: string,
  signal: AbortSignal,
): Promise<PutUp> {
  switch (type) {
    case 'http-01':
      folder.keepAnswer(token, answer);
      return { takeDown: async () => folder.dropAnswer(token) };
    case 'tls-alpn-01':
      folder.keepProof(name, challengeCertificate(name, answer));
      return { takeDown: async () => folder.dropProof(name) };
    case 'dns-01': {
      // RFC 8555 8.4.
      const record = `_acme-challenge.${name}`;
      const value = createHash('sha256').update(answer).digest('base64url');
      // Also when all is to end: nobody else removes it.
      const takeDown = (): Promise<void> => run(hook, ['remove', record, value], null).catch(() => {});
      try {
        await run(hook, ['set', record, value], signal);
      } catch (error) {
        // It was broken off, and may have done its work.
        if (signal.aborted) await takeDown();
        throw error;
      }
      return { takeDown };
    }
  }
}

/** Runs the hook, without a shell: what an authority sends is never read by one. */
function run(hook: string, words: readonly string[], signal: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { ...(signal !== null && { signal }), timeout: HOOK_MS, maxBuffer: 64 * 1024 };
    execFile(hook, words, options, (error, _out, complaint) => {
      if (error === null) return resolve();
      const { code, killed } = error as { code?: unknown; killed?: boolean };
      const how = killed === true ? 'took too long' : typeof code === 'number' ? `ended with ${code}` : String(code);
      const said = complaint.trim().replace(/[^\x20-\x7e]+/g, ' ');
      reject(new Error(`${hook} ${words[0]}: ${how}${said === '' ? '' : `: ${said.slice(-200)}`}`));
    });
  });
}
