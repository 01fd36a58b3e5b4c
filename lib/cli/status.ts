// `millrace status`: what a running proxy is doing, as tables for people or JSON for programs.

import type { ClusterStatus, Status } from '../admin/control.ts';
import { ADMIN_OPTION, refusedByAdmin, withAdmin } from './admin-client.ts';
import { type Command, EXIT_FINE } from './command.ts';
import { writeResult } from './output.ts';

export const statusCommand: Command = {
  name: 'status',
  usage: '[--json] [--admin ADDRESS]',
  summary: 'tells what a running proxy is doing: listeners, clusters, endpoints',
  details: 'The proxy needs `admin` in its configuration.',
  options: { admin: ADMIN_OPTION, json: { summary: 'as JSON' } },
  operands: { least: 0, most: 0 },
  run: (given) =>
    withAdmin('status', given, async (ask) => {
      const status = await ask('GET', '/v1/status');
      const clusters = 'fault' in status ? status : await ask('GET', '/v1/clusters');
      if ('fault' in status) return refusedByAdmin(status);
      if ('fault' in clusters) return refusedByAdmin(clusters);
      const told = { ...(status.body as Status), clusters: clusters.body as ClusterStatus[] };
      writeResult(given.options.has('json') ? `${JSON.stringify(told, null, 2)}\n` : describe(told));
      return EXIT_FINE;
    }),
};

function describe(status: Status & { readonly clusters: readonly ClusterStatus[] }): string {
  const { version, pid, state, uptimeS, generation, configured, reloadFault } = status;
  const { connections, workers, listeners, clusters } = status;
  const lines = [
    `millrace ${version}, process ${pid}: ${state} for ${spanOf(uptimeS)}, ${connections} connections open`,
    `configuration ${generation}, since ${configured}`,
    ...(reloadFault === '' ? [] : [`the last reload failed: ${reloadFault}`]),
    '',
  ];
  lines.push(
    ...columns([
      ['WORKER', 'STATE', 'SINCE', 'OPEN', 'HEAP', 'RESTARTS'],
      ...workers.map((one) => [
        `${one.worker}`,
        one.state,
        spanOf(one.uptimeS),
        `${one.connections}`,
        `${Math.round(one.heapBytes / 1024 / 1024)} MiB`,
        `${one.restarts}`,
      ]),
    ]),
    '',
    ...columns([
      ['LISTENER', 'ADDRESS', 'OPEN', 'ACCEPTED', 'REFUSED', 'EXCHANGES'],
      ...listeners.map((one) => [
        one.name,
        one.addresses.join(' '),
        `${one.connections}`,
        `${one.accepted}`,
        `${one.refused}`,
        `${one.exchanges}`,
      ]),
    ]),
    '',
    ...columns([
      ['CLUSTER', 'ACTIVE', 'WAITING', 'TURNED AWAY', 'REQUESTS', 'RETRIES', 'HEDGES', 'COPIES', 'DROPPED'],
      ...clusters.map((one) => [
        one.name,
        `${one.active}`,
        `${one.waiting}`,
        `${one.queueFull + one.queueTimeouts}`,
        `${one.requests}`,
        `${one.retries}`,
        `${one.hedges}`,
        `${one.copies}`,
        `${one.copiesDropped + one.copiesFailed}`,
      ]),
    ]),
    '',
    ...columns([
      ['CLUSTER', 'ENDPOINT', 'STATE', 'WEIGHT', 'ACTIVE', 'IDLE', 'EXCHANGES', 'FAILURES', 'RETRIES'],
      ...clusters.flatMap(({ name, endpoints }) =>
        endpoints.map((one) => [
          name,
          one.address,
          one.state,
          `${one.weight}`,
          `${one.active}`,
          `${one.idle}`,
          `${one.exchanges + one.tunnels}`,
          `${one.failures + one.connectFailures}`,
          `${one.retries}`,
        ]),
      ),
    ]),
  );
  return lines.map((line) => `${line}\n`).join('');
}

/** `3d 4h`, `5m 6s`: the two largest units. */
function spanOf(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const from = parts.findIndex(([count]) => count > 0);
  return (from < 0 ? parts.slice(3) : parts.slice(from, from + 2)).map(([count, unit]) => `${count}${unit}`).join(' ');
}

/** Words to the left, numbers to the right. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const numbers = rows[0]!.map((_, column) => rows.slice(1).every((row) => /^\d+$/.test(row[column]!)));
  return rows.map((row) =>
    row
      .map((cell, column) => (numbers[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}
