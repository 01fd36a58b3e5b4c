// `millrace explain` of what only cookies, or only a running proxy, can tell.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Admin } from '../support/admin.ts';
import { freePort, ROOT, run, startMillrace, temporaryFolder } from '../support/process.ts';

const ASKED = ['--url', 'http://localhost:1/'];

async function serve(t: TestContext): Promise<string> {
  const server = createServer((_request, response) =>
    response.end(`127.0.0.1:${(server.address() as AddressInfo).port}`),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function write(t: TestContext, text: string): string {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(file, text);
  return file;
}

function explain(t: TestContext, file: string, ...args: string[]) {
  return run(t, process.execPath, [join(ROOT, 'lib/cli/main.ts'), 'explain', '-c', file, ...ASKED, ...args]);
}

const chosen = (text: string) => [...text.matchAll(/^\w+ +(\S+): .*<- this one$/gm)].map(([, name]) => name);

test('cookies that the proxy has set name the cluster and the endpoint, and others name nothing', async (t) => {
  const [one, two, three] = [await serve(t), await serve(t), await serve(t)];
  const secret = 'secret: 0123456789abcdef';
  const file = write(
    t,
    `
listeners: { web: { bind: "127.0.0.1:0", routes: [{ split: { clusters: { app: 1, next: 1 }, sticky: { ${secret} } } }] } }
clusters:
  app: { endpoints: ["${one}", "${two}"], sticky: { ${secret} } }
  next: { endpoints: ["${three}"] }
`,
  );
  const proxy = startMillrace(t, ['run', '-c', file]);
  const port = await proxy.port('web');
  for (let client = 0; client < 3; client++) {
    const reply = await fetch(`http://127.0.0.1:${port}/`);
    const cookies = reply.headers.getSetCookie().map((line) => line.split(';')[0]);
    const endpoint = await reply.text();
    const { out } = await explain(t, file, '-H', `Cookie: ${cookies.join('; ')}`);
    const wanted = endpoint === three ? ['next'] : ['app', endpoint];
    assert.deepEqual(chosen(out), wanted, out);
    if (endpoint !== three) assert.ok(out.includes(`the endpoint that cookie millrace_app names: ${endpoint}\n`), out);
  }
  const forged = await explain(t, file, '-H', 'Cookie: millrace_app=x');
  assert.deepEqual(chosen(forged.out), []);
  assert.match(forged.out, /cookie millrace_app names: it names none of these, and counts for nothing\n/);
  assert.match(forged.out, /\nhealth {5}nobody was asked: endpoints are taken to be well/);
});

test('with --live the running proxy says which endpoints there are and how they are', async (t) => {
  const [well, draining, added] = [await serve(t), await serve(t), await serve(t)];
  const dead = `127.0.0.1:${await freePort()}`;
  const text = (address: string) => `
admin: { bind: "${address}" }
listeners: { web: { bind: "127.0.0.1:0", cluster: app } }
clusters:
  app:
    endpoints: ["${well}", "${draining}", "${dead}"]
    health: { tcp: true, interval: 100ms, fastInterval: 100ms, fall: 1, rise: 1 }
`;
  const file = write(t, text('127.0.0.1:0'));
  const proxy = startMillrace(t, ['run', '-c', file]);
  const admin = await Admin.of(proxy);
  await proxy.until(({ err }) => err.includes('endpoint is down'), 'the check');
  const endpoints = '/v1/clusters/app/endpoints';
  await admin.call({ method: 'PATCH', path: `${endpoints}/${draining}`, body: { draining: true } });
  await admin.call({ method: 'PATCH', path: `${endpoints}/${well}`, body: { weight: 3 } });
  await admin.post(endpoints, { address: added });
  const address = /"admin API","address":"([^"]+)"/.exec(proxy.err)![1]!;
  // By the configuration, and by name.
  for (const [from, ...args] of [[write(t, text(address))], [file, '--admin', address]]) {
    const { code, out, err } = await explain(t, from!, '--live', ...args);
    assert.equal(code, 0, err);
    for (const line of [
      `endpoint   ${well}: weight 3, 75%`,
      `endpoint   ${draining}: not used: it is draining`,
      `endpoint   ${dead}: not used: it is down`,
      `endpoint   ${added}: weight 1, 25%`,
      'health     as the running proxy has it at this moment',
    ])
      assert.ok(out.includes(`${line}\n`), `${line} is not in\n${out}`);
  }
  const unknown = await explain(t, file, '--live');
  assert.deepEqual([unknown.code, /name it by --admin/.test(unknown.err)], [2, true]);
  const nobody = await explain(t, file, '--live', '--admin', dead);
  assert.deepEqual([nobody.code, /nobody listens there/.test(nobody.err)], [1, true]);
});

test('the token of a configuration is shown to its own admin listener alone', async (t) => {
  const shown: (string | undefined)[] = [];
  const stranger = createServer((request, response) => {
    shown.push(request.headers.authorization);
    response.end('[]');
  });
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  t.after(() => stranger.close());
  const { port } = stranger.address() as AddressInfo;
  const text = (bind: string) =>
    `admin: { bind: "${bind}", token: 0123456789abcdef }\nlisteners: { web: { bind: "127.0.0.1:0", routes: [{ respond: {} }] } }\n`;
  const elsewhere = write(t, text(`127.0.0.1:${await freePort()}`));
  await explain(t, elsewhere, '--live', '--admin', `127.0.0.1:${port}`);
  assert.deepEqual(shown.splice(0), [undefined]);
  const own = write(t, text(`0.0.0.0:${port}`));
  await explain(t, own, '--live');
  await explain(t, own, '--live', '--admin', `127.0.0.1:${port}`);
  assert.deepEqual(shown, ['Bearer 0123456789abcdef', 'Bearer 0123456789abcdef']);
});
