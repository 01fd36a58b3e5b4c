// The subjects of micro-benchmarks, in the order in which an exchange meets them.

import { detection } from './detection.ts';
import { headRewrite } from './head-rewrite.ts';
import { pairs } from './pairs.ts';
import { parser } from './parser.ts';
import { picker } from './picker.ts';
import { pool } from './pool.ts';
import { publish } from './publish.ts';
import { routeLookup } from './route-lookup.ts';
import type { Subject } from './subject.ts';
import { wheel } from './wheel.ts';

export const SUBJECTS: readonly Subject[] = [
  detection,
  parser,
  routeLookup,
  pairs,
  picker,
  publish,
  pool,
  headRewrite,
  wheel,
];
