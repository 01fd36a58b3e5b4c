// A proxy inside a program of your own: it starts, goes over to another configuration, and ends.
//
//     node_modules/.bin/node examples/embedded/server.ts
//
// In a project of your own: `import { createProxy, defineConfig } from 'millrace'`.

import { createServer } from 'node:http';
import { createProxy, defineConfig } from '../../lib/index.ts';

const origin = createServer((request, response) => response.end(`${request.url} from the origin\n`));
await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
const { port } = origin.address() as { port: number };

const document = defineConfig({
  // In this thread; leave it out for one event loop per core, each in a thread of its own.
  workers: 0,
  listeners: { web: { bind: '127.0.0.1:0', routes: [{ cluster: 'app' }] } },
  clusters: { app: { endpoints: [`127.0.0.1:${port}`] } },
});

const proxy = await createProxy(document, { log: (level, message, fields) => console.error(level, message, fields) });
proxy.on('configured', (generation) => console.log(`configuration ${generation} serves`));
const url = `http://${proxy.addresses[0]!.address}`;
console.log(await (await fetch(`${url}/one`)).text());

await proxy.reload({
  ...document,
  listeners: { web: { bind: '127.0.0.1:0', routes: [{ respond: { status: 200, body: 'from the proxy itself\n' } }] } },
});
console.log(await (await fetch(`${url}/two`)).text());
console.log(`${(await proxy.status()).listeners[0]!.exchanges} exchanges`);

console.log(`ended: ${await proxy.drain()}`);
origin.close();
