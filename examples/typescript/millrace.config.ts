// The same as in YAML, with types, and with everything that a program can do: here one listener for each team.
//
//   millrace run -c examples/typescript/millrace.config.ts

import { defineConfig } from 'millrace';

const teams = { red: 3000, blue: 3001 };
const port = Number(process.env['PORT'] ?? 8080);

export default defineConfig({
  log: { level: 'info' },
  listeners: {
    web: {
      bind: `127.0.0.1:${port}`,
      routes: [
        { match: { path: '/healthz' }, respond: { body: 'ok\n' } },
        ...Object.keys(teams).map((team) => ({
          match: { path: `/${team}/*` },
          rewrite: { path: '/*' },
          cluster: team,
        })),
      ],
    },
  },
  clusters: Object.fromEntries(
    Object.entries(teams).map(([team, origin]) => [
      team,
      { endpoints: [`127.0.0.1:${process.env[team.toUpperCase()] ?? origin}`] },
    ]),
  ),
});
