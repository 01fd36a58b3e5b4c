// Has descriptor 3, a listening socket of somebody else's at 127.0.0.1, as an event loop of a successor does; standard input
// then says `give`, and clients are answered with a letter and the end, or `close`. With the argument `idle` it only holds the
// socket until then.

import { createInterface } from 'node:readline';
import { Port } from '../../lib/server/port.ts';

const asked = { kind: 'tcp', host: '127.0.0.1', port: 0, path: '', fd: -1 } as const;
let inherited = process.argv[2] === 'idle' ? null : inherit();
let accepted = 0;
console.log('prepared');

createInterface({ input: process.stdin }).on('line', (line) => {
  const port = (inherited ??= inherit());
  if (line === 'close') port.close();
  else
    port.give({
      accept(socket) {
        accepted++;
        socket.reader = {
          slab: -1,
          reading: false,
          paused: false,
          gone: false,
          settled: false,
          deliver() {},
          taken() {},
        };
        socket.on('error', () => {});
        socket.end('x');
      },
      acceptFailed(error) {
        throw error;
      },
    });
  console.log(line, accepted);
});

function inherit(): Port {
  const port = Port.inherit(asked, 3, asked);
  if (!(port instanceof Port)) throw new Error(port.fault);
  return port;
}
