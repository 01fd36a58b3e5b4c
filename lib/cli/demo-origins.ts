// The servers that the demo puts behind the proxy: two HTTP origins that say who they are, and two TCP servers that greet and
// echo. They stand for somebody else's programs, so they use nothing of ours.

import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';

export interface DemoOrigins {
  /** `HOST:PORT` of each. */
  readonly http: readonly string[];
  readonly tcp: readonly string[];
  close(): void;
}

/** Starts all of them on free ports of the loopback interface. */
export async function startDemoOrigins(): Promise<DemoOrigins> {
  const http = ['one', 'two'].map((name) => createServer((request, response) => answer(name, request, response)));
  const tcp = ['one', 'two'].map((name) => createTcpServer((socket) => greet(name, socket)));
  return {
    http: await Promise.all(http.map(listen)),
    tcp: await Promise.all(tcp.map(listen)),
    close() {
      for (const server of http) server.close().closeAllConnections();
      for (const server of tcp) server.close();
    },
  };
}

const LOOPBACK = '127.0.0.1';
const EVENT_EVERY_MS = 500;
const EVENTS = 10;

function listen(server: HttpServer | TcpServer): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => resolve(`${LOOPBACK}:${(server.address() as AddressInfo).port}`));
  });
}

function answer(name: string, request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const path = request.url?.split('?')[0];
  if (path === '/events') sendEvents(name, response);
  else if (path === '/') greetBrowser(name, request, response);
  else response.writeHead(404, { 'content-type': 'text/plain' }).end(`origin ${name} has / and /events\n`);
}

function greetBrowser(name: string, request: IncomingMessage, response: ServerResponse): void {
  const html = request.headers.accept?.includes('text/html') === true;
  response.writeHead(200, { 'content-type': html ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8' });
  response.end(html ? page(name) : `hello from origin ${name}\n`);
}

/** Server-sent events, one at a time: through the proxy each must arrive when it is sent, not when all are. */
function sendEvents(name: string, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let sent = 0;
  const send = (): void => {
    response.write(`data: event ${++sent} of ${EVENTS} from origin ${name}\n\n`);
    if (sent === EVENTS) response.end();
  };
  const timer = setInterval(() => (response.writableEnded ? clearInterval(timer) : send()), EVENT_EVERY_MS);
  response.on('close', () => clearInterval(timer));
  send();
}

function page(name: string): string {
  return `<!doctype html>
<meta charset="utf-8">
<title>Millrace</title>
<style>body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 4rem auto; padding: 0 1rem }</style>
<h1>Hello from origin ${name}</h1>
<p>Reload to be answered by the other one. Below is a stream of events, each shown as it arrives.</p>
<pre id="events"></pre>
<script>
  const events = new EventSource('/events');
  events.onmessage = ({ data }) => { document.getElementById('events').textContent += data + '\\n'; };
  events.onerror = () => events.close();
</script>
`;
}

function greet(name: string, socket: Socket): void {
  socket.on('error', () => socket.destroy());
  socket.write(`hello from tcp server ${name}; it repeats what you type\n`);
  socket.pipe(socket);
}
