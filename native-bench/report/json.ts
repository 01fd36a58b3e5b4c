// A run as JSON for programs, and back. What comes back may be any file that someone named: it is checked, not believed.

import * as z from 'zod';
import { FIGURES, type FigureName } from '../figures.ts';
import { REPORT_FORMAT, type Report } from './report.ts';

/** The whole run with every round. Durations in microseconds, sizes in bytes, shares from 0 to 1. */
export function writeJson(report: Report): string {
  return `${JSON.stringify(report, finite, 2)}\n`;
}

/** The run that `text` holds, or a sentence that says why it holds none. Never throws. */
export function readReport(text: string): Report | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `It is not JSON: ${(error as Error).message}.`;
  }
  const format = FORMAT.safeParse(value);
  if (!format.success) return 'It is not a report of this harness: it names no format.';
  if (format.data.format !== REPORT_FORMAT) {
    return `It has format ${format.data.format}, and this version reads format ${REPORT_FORMAT}.`;
  }
  const checked = REPORT.safeParse(value);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? '' : ` at ${placeText(issue.path)}`;
  return `It is not a whole report${place}: ${issue?.message ?? 'unknown fault'}.`;
}

/** JSON has no word for what is not finite; a figure that is missing says the same. */
export function finite(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? undefined : value;
}

const FORMAT = z.object({ format: z.number() });

const FIGURE = z.enum(Object.keys(FIGURES) as [FigureName, ...FigureName[]]);
const MARK = z.enum(['errors', 'disturbed', 'coarse', 'unsent', 'dropped']);
const SPREAD = z.object({ median: z.number(), lowest: z.number(), highest: z.number() });
const LATENCY = z.array(z.object({ share: z.number(), micros: z.number() }));

const ROUND = z.object({
  peer: z.string(),
  round: z.number(),
  requests: z.number(),
  figures: z.partialRecord(FIGURE, z.number()),
  latency: LATENCY,
  errors: z.object({
    connect: z.number(),
    read: z.number(),
    write: z.number(),
    timeout: z.number(),
    status: z.number(),
  }),
  marks: z.array(MARK),
});

const ROW = z.object({
  peer: z.string(),
  rounds: z.number(),
  figures: z.partialRecord(FIGURE, SPREAD),
  errors: z.number(),
  marks: z.partialRecord(MARK, z.number()),
  ratio: SPREAD.nullable(),
  originShare: z.number().nullable(),
  latency: LATENCY,
});

const VERDICT = z.object({
  target: z.object({
    figure: FIGURE,
    peer: z.string().nullable(),
    atMost: z.exactOptional(z.number()),
    atLeast: z.exactOptional(z.number()),
  }),
  value: SPREAD.nullable(),
  reached: z.boolean().nullable(),
});

const REPORT: z.ZodType<Report> = z.object({
  format: z.literal(REPORT_FORMAT),
  startedAt: z.iso.datetime(),
  machine: z.object({
    cpu: z.string(),
    cores: z.number(),
    memoryBytes: z.number(),
    kernel: z.string(),
    runtime: z.string(),
    date: z.string(),
    loadAverage: z.number(),
  }),
  revision: z.string().nullable(),
  versions: z.array(z.string()),
  command: z.string(),
  cores: z.string(),
  plan: z.object({ rounds: z.number(), seconds: z.number(), warmUpSeconds: z.number() }),
  workers: z.number(),
  scenarios: z.array(
    z.object({
      name: z.string(),
      title: z.string(),
      headline: FIGURE,
      columns: z.array(FIGURE),
      omitted: z.string().nullable(),
      originPerSecond: z.number().nullable(),
      rows: z.array(ROW),
      verdicts: z.array(VERDICT),
      remarks: z.array(z.string()),
      rounds: z.array(ROUND),
    }),
  ),
});

/** `scenarios[0].rows[1].peer`. */
function placeText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}
