// How bytes arrive: one shared slab serves every plain socket, because it is consumed before the read returns; a
// connection that reads in bulk gets a slab of its own, which can be lent to whoever writes it on. The only file that
// touches Node's private socket interface; where that is missing, bytes are copied from 'data' events instead.

import { type Server as NetServer, Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { memory } from '../wire/http1/llhttp.ts';
import { flush } from './send.ts';
import { releaseSlab, slabHolders, slabStart, slabView, takeReaderSlab, takeSlab } from './slab.ts';

/** What a socket's bytes are delivered to. */
export interface Reader {
  /** Slab of its own, -1 while it reads into the shared one. Managed here. */
  slab: number;
  /** Delivery is under way: a pause takes effect by itself when it ends. */
  reading: boolean;
  paused: boolean;
  /** No more reads: the slab was released. */
  gone: boolean;
  /** The message is over: a slab of its own is not needed any longer. Cleared here. */
  settled: boolean;
  /** Bytes `start..end` of the memory, borrowed: valid until return. Must not throw. */
  deliver(start: number, end: number): void;
  /** What `writeThrough` left waiting has been taken. Must not throw. */
  taken(): void;
}

export interface ReadingSocket extends Socket {
  reader: Reader | null;
}

/** A read of at least this much means bulk: the next ones go to a slab of the connection's own. */
const BULK_BYTES = 32 * 1024;
/** A read of less than this ends it. */
const TRICKLE_BYTES = 8 * 1024;

const shared = takeSlab();
const sharedView = slabView(shared);
/** The same bytes where they are copied to: such a socket cannot be given a slab to read into. */
const copiedView = sharedView.subarray();

/** The slab of the connection that is being read, -1 when its bytes must be copied to be kept. */
let lendable = -1;
/** What the next question for a buffer is answered with; null: go on with the same. */
let renewed: Buffer | null = sharedView;

interface Handle {
  readonly writeQueueSize?: number;
  writeBuffer?(request: WriteRequest, bytes: Uint8Array): number;
  setNoDelay?(on: boolean): void;
  reset?(): void;
  readonly fd?: number;
}
interface WriteRequest {
  /** Called when a write that had to wait is over. */
  oncomplete?: (this: WriteRequest, status: number) => void;
  socket?: ReadingSocket;
  bytes?: Uint8Array;
}
interface WriteBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: Int32Array;
  readonly kLastWriteWasAsync: number;
}
interface PrivateSocket {
  readonly _handle: Handle | null;
  readonly _bytesDispatched?: number;
}
interface PrivateServer {
  readonly _handle: { onconnection?: (status: number, client: Handle | undefined) => void } | null | undefined;
}

/** What Node's own sockets write with; null where this runtime does not give it out. */
const writing = writeBinding();
/** A request that no write needs at the moment. */
let spare: WriteRequest | null = null;

/** Options that make a dialed socket read into our slabs; public interface of `net.connect`. */
export const onread = {
  // Asked when a socket starts and after every read, so a start finds the shared slab unless a read just ended.
  buffer: (): Buffer => {
    const next = renewed;
    renewed = sharedView;
    return next as Buffer;
  },
  callback: received as unknown as (bytes: number, buffer: Uint8Array) => boolean,
};

/**
 * Hands every connection that `server` (listening, with `allowHalfOpen` and `pauseOnConnect`) accepts to `accepted`, as
 * a socket that reads into our slabs. It reads at once, so its `reader` must be set before control returns to the event
 * loop. Connections that could not be accepted come as 'error' events of the server.
 */
export function acceptFrom(server: NetServer, accepted: (socket: ReadingSocket) => void): void {
  const handle = (server as unknown as PrivateServer)._handle;
  if (handle === null || typeof handle?.onconnection !== 'function') {
    server.on('connection', (socket) => accepted(copyFrom(socket)));
    return;
  }
  // Node would make a socket that reads its own way first; taking its handle away doubles the cost of a connection.
  handle.onconnection = (status, client) => {
    if (status === 0 && client !== undefined) {
      client.setNoDelay?.(true);
      accepted(wrap(client));
    } else {
      const code = getSystemErrorName(status);
      server.emit('error', Object.assign(new Error(`accept ${code}`), { code, errno: status, syscall: 'accept' }));
    }
  };
}

function writeBinding(): WriteBinding | null {
  try {
    const { binding } = process as unknown as { binding(name: string): WriteBinding };
    const found = binding('stream_wrap');
    const whole = typeof found.WriteWrap === 'function' && Number.isInteger(found.kLastWriteWasAsync);
    return whole && found.streamBaseState instanceof Int32Array ? found : null;
  } catch {
    return null;
  }
}

function wrap(handle: Handle): ReadingSocket {
  const options = { handle, onread, allowHalfOpen: true, writableHighWaterMark: WRITABLE_BYTES };
  const socket = new Socket(options as never) as ReadingSocket;
  socket.reader = null;
  return socket;
}

/**
 * Node would otherwise schedule a 'drain' for every write above its mark; we watch `writableLength` ourselves.
 */
export const WRITABLE_BYTES = 1 << 30;

/** The way without private interface: one copy more. Also for sockets that decrypt. */
export function copyFrom(socket: Socket): ReadingSocket {
  const reading = socket as ReadingSocket;
  reading.reader = null;
  socket.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length && reading.reader !== null && !reading.reader.gone; at += sharedView.length) {
      const bytes = Math.min(chunk.length - at, sharedView.length);
      chunk.copy(memory, slabStart(shared), at, at + bytes);
      if (!received.call(reading, bytes, copiedView)) socket.pause();
      // Nobody asks for a buffer after this: the answer would go to the next socket that starts.
      renewed = sharedView;
    }
  });
  socket.resume();
  return reading;
}

/** The reader's own slab if bytes at `start` lie in it and may be held beyond the delivery, else -1. */
export function lendableAt(start: number): number {
  if (lendable < 0) return -1;
  const first = slabStart(lendable);
  return start >= first && start < first + sharedView.length ? lendable : -1;
}

/** The socket's descriptor; -1 when it has none (any more). */
export function descriptorOf(socket: Socket): number {
  return (socket as unknown as PrivateSocket)._handle?.fd ?? -1;
}

/** Answers of `writeThrough`. */
export const Through = {
  /** The kernel has taken everything. */
  TAKEN: 0,
  /** The rest waits and will be taken in order; the bytes must stay as they are until the reader's `taken`. */
  WAITS: 1,
  /** Nothing was done: write by `socket.write`. */
  UNABLE: 2,
} as const;

/**
 * Hands `bytes` to the kernel past the queue of Node's streams, which costs as much as parsing a request does. Only for
 * sockets for which nothing waits. A write that fails destroys the socket with its error.
 */
export function writeThrough(socket: ReadingSocket, bytes: Uint8Array): number {
  const handle = (socket as unknown as PrivateSocket)._handle;
  if (writing === null || socket.connecting || typeof handle?.writeBuffer !== 'function') return Through.UNABLE;
  spare ??= new writing.WriteWrap();
  const status = handle.writeBuffer(spare, bytes);
  if (status !== 0) {
    socket.destroy(writeError(status));
    return Through.TAKEN;
  }
  // A request that was not needed serves the next write.
  if (writing.streamBaseState[writing.kLastWriteWasAsync] === 0) return Through.TAKEN;
  spare.socket = socket;
  // Nobody else may hold what is still to be read by the kernel.
  spare.bytes = bytes;
  spare.oncomplete = written;
  spare = null;
  return Through.WAITS;
}

/** Whether something that was written has not been taken by the kernel yet. */
export function waits(socket: Socket): boolean {
  if (socket.writableLength > 0) return true;
  return ((socket as unknown as PrivateSocket)._handle?.writeQueueSize ?? 0) > 0;
}

/** How much the kernel has taken so far of what was written; only ever grows. */
export function takenBytes(socket: Socket): number {
  const { _handle: handle, _bytesDispatched: dispatched } = socket as unknown as PrivateSocket;
  return (dispatched ?? 0) - (handle?.writeQueueSize ?? 0);
}

/** Closes at once, with a reset where the kind of socket has one; unix sockets have none, and Node throws for them. */
export function breakOff(socket: Socket): void {
  const handle = (socket as unknown as PrivateSocket)._handle;
  // Our end is on its way with nothing before it: such a handle refuses a reset, and Node would forget it unclosed.
  const ending = socket.writableEnded && !socket.writableFinished && !waits(socket);
  if (typeof handle?.reset === 'function' && !ending) socket.resetAndDestroy();
  else socket.destroy();
}

/** Gives the reader's slab back; no read may follow. */
export function dismiss(reader: Reader): void {
  if (reader.gone) return;
  reader.gone = true;
  if (reader.slab >= 0) releaseSlab(reader.slab);
  reader.slab = -1;
}

function writeError(status: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' });
}

function written(this: WriteRequest, status: number): void {
  const { socket } = this;
  if (socket === undefined || socket.destroyed) return;
  if (status === 0) socket.reader?.taken();
  else socket.destroy(writeError(status));
}

function received(this: ReadingSocket, bytes: number, buffer: Uint8Array): boolean {
  const { reader } = this;
  if (reader === null || reader.gone) return false;
  const start = buffer.byteOffset;
  lendable = reader.slab;
  reader.reading = true;
  reader.deliver(start, start + bytes);
  reader.reading = false;
  lendable = -1;
  flush();
  renewed = null;
  if (reader.gone) return false;
  if (reader.slab >= 0) keep(reader, bytes);
  else if (bytes >= BULK_BYTES && !reader.settled && buffer === sharedView) own(reader);
  reader.settled = false;
  return !reader.paused;
}

/** After a read into a slab of its own: whether to go on with it. */
function keep(reader: Reader, bytes: number): void {
  const lent = slabHolders(reader.slab) > 1;
  if (!lent && bytes >= TRICKLE_BYTES && !reader.settled) return;
  releaseSlab(reader.slab);
  reader.slab = -1;
  renewed = sharedView;
  // Who is paused may stay so for long, and needs none meanwhile.
  if (lent && !reader.settled && !reader.paused) own(reader);
}

function own(reader: Reader): void {
  const slab = takeReaderSlab();
  if (slab < 0) return;
  reader.slab = slab;
  renewed = slabView(slab);
}
