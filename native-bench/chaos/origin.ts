// An origin that can be told to misbehave: `node origin.ts NAME PORT`, then one word per line on its standard input.

import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';

const [name = 'origin', port = '0'] = process.argv.slice(2);
let mode = 'well';
let asked = 0;

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    const check = request.url === '/healthz';
    if (mode === 'silent') return;
    if (mode === 'cut')
      return void (response.socket as Socket).write('HTTP/1.1 200 OK\r\nConte', () => response.socket!.destroy());
    if (mode === 'errors' && !check && ++asked % 10 === 0) response.statusCode = 503;
    response.setHeader('Server', name);
    response.end(name);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('listening\n'));
createInterface({ input: process.stdin }).on('line', (line) => {
  mode = line.trim();
});
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  setInterval(() => server.closeIdleConnections(), 20);
});
