// `millrace tcp FROM TO...`.

import { oneLineCommand } from './one-line.ts';

export const tcpCommand = oneLineCommand(
  'tcp',
  'TCP load balancer in one line',
  'millrace tcp :5432 db1:5432 db2:5432 --balance least-connections',
);
