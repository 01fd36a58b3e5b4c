// Endpoints out of a file that somebody else writes. Looked at rather than watched, so that files that are replaced, and
// links that are switched, are noticed too.

import { readFile, stat } from 'node:fs/promises';
import type { EndpointOptions, FileDiscovery } from '../upstream/options.ts';
import type { EndpointReader, Source } from './source.ts';

const LOOK_EVERY_MS = 1000;
const MOST_BYTES = 16 * 1024 * 1024;

export class FileSource implements Source {
  readonly #options: FileDiscovery;
  readonly #read: EndpointReader;
  #timer: NodeJS.Timeout | null = null;
  #stamp = '';
  #stopped = false;

  constructor(options: FileDiscovery, read: EndpointReader) {
    this.#options = options;
    this.#read = read;
  }

  start(found: (endpoints: readonly EndpointOptions[]) => void, failed: (fault: string) => void): void {
    const look = async (): Promise<void> => {
      try {
        const { file } = this.#options;
        const { mtimeMs, size, ino } = await stat(file);
        const stamp = `${mtimeMs} ${size} ${ino}`;
        if (stamp !== this.#stamp && !this.#stopped) {
          this.#stamp = stamp;
          if (size > MOST_BYTES) failed(`larger than ${MOST_BYTES} bytes`);
          else {
            const read = this.#read(await readFile(file, 'utf8'));
            if (this.#stopped) return;
            if ('fault' in read) failed(read.fault);
            else found(read.endpoints);
          }
        }
      } catch (error) {
        if (!this.#stopped && this.#stamp !== 'missing')
          failed((error as NodeJS.ErrnoException).code ?? 'cannot be read');
        this.#stamp = 'missing';
      }
      if (this.#stopped) return;
      this.#timer = setTimeout(look, LOOK_EVERY_MS);
      this.#timer.unref();
    };
    void look();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
