// An origin that can be told to misbehave: `node origin.ts NAME PORT HOST`, then one word per line on its standard input.

import { createServer } from 'node:http';
import { Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const [name = 'origin', port = '0', host = '127.0.0.1'] = process.argv.slice(2);
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
server.listen(Number(port), host, () => process.stdout.write('listening\n'));
createInterface({ input: process.stdin }).on('line', (line) => {
  const before = mode;
  mode = line.trim();
  if (mode === 'closed') {
    // The port alone, and at once: the server's own way would wait for its connections.
    Server.prototype.close.call(server);
    server.closeAllConnections();
  } else if (before === 'closed') server.listen(Number(port), host);
});
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  setInterval(() => server.closeIdleConnections(), 20);
});
