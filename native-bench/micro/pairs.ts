// Finding a cookie of a request that lies in the parser's memory, where nothing says where the line ends, beside splitting
// it as text.

import { carve, memory } from '../../lib/wire/http1/llhttp.ts';
import { findPair, pair } from '../../lib/wire/pairs.ts';
import { ours, type Subject, theirs } from './subject.ts';

const SEMICOLON = 0x3b;
const LINES = [
  ['first', 'millrace=0123456789abcdef; theme=dark; _ga=GA1.2.1234567890.1234567890; lang=en'],
  ['last', '_ga=GA1.2.1234567890.1234567890; lang=en; theme=dark; millrace=0123456789abcdef'],
  ['not there', '_ga=GA1.2.1234567890.1234567890; lang=en; theme=dark; session=0123456789abcdef'],
] as const;
const ROUND = 256;

export const pairs: Subject = {
  name: 'pairs',
  about: 'find a cookie among four',
  prepare: () =>
    LINES.map(([name, line]) => {
      const start = carve(line.length);
      const end = start + memory.write(line, start, 'latin1');
      const split = (): string | undefined =>
        memory
          .toString('latin1', start, end)
          .split('; ')
          .find((one) => one.startsWith('millrace='))
          ?.slice('millrace='.length);
      const found = (): boolean => findPair(memory, start, end, 'millrace', SEMICOLON);
      return {
        name,
        cases: [
          ours(ROUND, {
            operate: () => (found() ? pair.end - pair.start : 0),
            answer: () => (found() ? memory.toString('latin1', pair.start, pair.end) : undefined),
          }),
          theirs(ROUND, 'split', '', { operate: () => split()?.length ?? 0, answer: split }),
        ],
      };
    }),
};
