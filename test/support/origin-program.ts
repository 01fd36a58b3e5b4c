// An HTTP origin as a process of its own, to be killed, stopped and restarted. Prints its port, `held` for each request to
// /held, which waits until a line comes on standard input, and ends as well-behaved origins do when it is told to.
// `node origin-program.ts NAME [PORT]`.

import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';

const [name = 'origin', port = '0'] = process.argv.slice(2);
const piece = Buffer.alloc(64 * 1024, name);

const held: ServerResponse[] = [];
process.stdin.on('data', () => {
  for (const response of held.splice(0)) response.end(name);
});

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://origin');
  request.resume();
  if (pathname === '/large') {
    // Says a length and sends half of it; the rest never comes.
    response.writeHead(200, { 'content-length': piece.length * 2 });
    response.write(piece);
  } else if (pathname === '/large-chunked') {
    response.writeHead(200);
    response.write(piece);
  } else if (pathname === '/held') {
    held.push(response);
    process.stdout.write('held\n');
  } else {
    response.end(name);
  }
});
server.keepAliveTimeout = 10 * 60_000;
server.listen({ host: '127.0.0.1', port: Number(port) }, () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.on('SIGTERM', () => {
  // First the port, as good origins do: node:http's own close would first end its connections.
  NetServer.prototype.close.call(server, () => process.exit(0));
  server.closeIdleConnections();
  // Those in use are closed when their reply is out.
  setInterval(() => server.closeIdleConnections(), 20);
});
