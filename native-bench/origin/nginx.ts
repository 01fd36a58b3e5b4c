// The origin where nginx is installed: known to be quick, and not ours, so that nobody can say that it was made for
// Millrace. Everything static, for it shares its core with the load generator.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readAsset } from '../../lib/base/asset.ts';
import type { Launch } from '../host/scope.ts';
import { launchNginx, nginxTls } from '../peers/nginx/peer.ts';
import type { Setup } from '../peers/peer.ts';
import { fillTemplate } from '../peers/template.ts';
import {
  bytesPath,
  CHUNKED_BYTES,
  CHUNKED_PATH,
  INSPECTED,
  LARGE_BYTES,
  LARGE_PATH,
  letters,
  MIXED_BYTES,
  REPLY_FIELDS,
  SINK_REPLY,
  SMALL_BYTES,
} from './content.ts';

/**
 * Writes files and configuration into `folder` and says what to start. `setup`: whose clients it is to answer, TLS and
 * HTTP/2 included. Throws when nginx is not installed.
 */
export function launchNginxOrigin(
  folder: string,
  port: number,
  workers: number,
  setup: Setup = 'http',
): Omit<Launch, 'cores'> {
  for (const [path, bytes] of FILES) {
    const file = join(folder, 'files', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, letters(bytes));
  }
  const template = readAsset('native-bench/origin/nginx.conf');
  const values = {
    FOLDER: folder,
    PORT: port,
    WORKERS: workers,
    ...nginxTls(folder, setup),
    SMALL: letters(SMALL_BYTES).toString('latin1'),
    SINK_REPLY: quote(SINK_REPLY),
    REPLY_FIELDS: REPLY_FIELDS.map(([name, value]) => `      add_header ${name} "${value}";`).join('\n'),
    INSPECT: quote(INSPECTED.map((name) => `${name}=$http_${name.replaceAll('-', '_')}\n`).join('')),
    // Long, since the longer it is the more of the text is skipped in the search.
    NEVER: '0'.repeat(64),
  };
  return launchNginx(folder, fillTemplate(template, values));
}

const FILES: readonly (readonly [path: string, bytes: number])[] = [
  [LARGE_PATH, LARGE_BYTES],
  [CHUNKED_PATH, CHUNKED_BYTES],
  ...MIXED_BYTES.map((bytes) => [bytesPath(bytes), bytes] as const),
];

/** As a line end stands between quotation marks in nginx's configuration. */
function quote(text: string): string {
  return text.replaceAll('\n', '\\n');
}
