// A reverse proxy with fast-proxy as its documentation shows it, adding the forwarding headers that Millrace adds by
// default (X-Forwarded-Host it adds itself). Arguments: PORT ORIGIN_PORT.

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import fastProxy from 'fast-proxy';

const [port, originPort] = process.argv.slice(2).map(Number);

// Of its two clients the quicker: about a quarter less CPU time per small request than node:http, which is its default.
const { proxy } = fastProxy({ base: `http://127.0.0.1:${originPort}`, undici: true });

const options = {
  rewriteRequestHeaders(request: IncomingMessage, headers: IncomingHttpHeaders): IncomingHttpHeaders {
    headers['x-forwarded-for'] = request.socket.remoteAddress ?? '';
    headers['x-forwarded-proto'] = 'http';
    headers['x-request-id'] = randomUUID();
    headers['via'] = '1.1 fast-proxy';
    return headers;
  },
};

createServer((request, response) => proxy(request, response, request.url ?? '/', options)).listen(
  port,
  '127.0.0.1',
  1024,
);
