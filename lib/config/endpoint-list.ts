// A list of endpoints as a file or a service gives it: what `endpoints` of a configuration may hold, in YAML or JSON, by
// itself or below the key `endpoints`.

import * as yaml from 'yaml';
import type { EndpointReader } from '../discovery/source.ts';
import type { EndpointOptions } from '../upstream/options.ts';
import { assembleEndpoint } from './assemble-cluster.ts';
import { formatPath } from './error.ts';
import { endpoints } from './schema/cluster.ts';
import { describeIssue, wordFindings } from './wording.ts';

/** Reads a document; `fault` says what is wrong, and then nothing of it counts. */
export const readEndpoints: EndpointReader = (text) => {
  let value: unknown;
  try {
    value = yaml.parse(text);
  } catch (error) {
    return { fault: (error as Error).message.split('\n')[0]! };
  }
  const list = Array.isArray(value) ? value : (value as { endpoints?: unknown } | null)?.endpoints;
  const read = endpoints.safeParse(list);
  if (!read.success) {
    const [issue] = read.error.issues;
    return { fault: `endpoints${(issue?.path ?? []).map((part) => `[${String(part)}]`).join('')}: ${issue?.message}` };
  }
  return { endpoints: read.data.map(assembleEndpoint) };
};

/** Reads one endpoint, as a value. */
export function readEndpoint(value: unknown): { endpoint: EndpointOptions } | { fault: string } {
  const read = endpoints.safeParse([value], { error: describeIssue });
  if (read.success) return { endpoint: assembleEndpoint(read.data[0]!) };
  const [issue] = wordFindings(read.error.issues);
  return { fault: `${formatPath((issue?.path ?? []).slice(1))}: ${issue?.message}`.replace(/^: /, '') };
}
