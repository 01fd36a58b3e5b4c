// `millrace http FROM TO...`.

import { oneLineCommand } from './one-line.ts';

export const httpCommand = oneLineCommand(
  'http',
  'reverse proxy in one line',
  'millrace http :8080 localhost:3000 localhost:3001',
);
