// TLS on a socket that is open already: OpenSSL stands on the socket's handle, and a plain socket over it reads into our
// slabs like every other. Beside receive.ts the only file that touches Node's private socket interface. Which
// certificate serves whom and what a peer must prove is left to the tls room.

import { Socket } from 'node:net';
import 'node:tls';
import type { SecureContext } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import { onread, type ReadingSocket, WRITABLE_BYTES } from './receive.ts';
import { releaseSlab, retainSlab, slabsScarce } from './slab.ts';

/** How one handshake is made. */
export interface SecureOptions {
  readonly context: SecureContext;
  /** Whether we answer the handshake; else we begin it. */
  readonly server: boolean;
  /** Application protocols in our order (RFC 7301), in the form of the extension's list; null: ALPN is not spoken. */
  readonly alpn: Buffer | null;
  /** Server: whether the client's certificate is asked for; it is never verified here (see `verifyFault`). */
  readonly asking?: boolean;
  /** Server: DER of the OCSP response that clients get who ask. */
  readonly ocsp?: Buffer | null;
  /** Client: the name asked for, '' for none. */
  readonly serverName?: string;
  /** Client: a session to resume. */
  readonly session?: Buffer | null;
  /** Client: told of sessions that can be resumed later. */
  readonly remember?: ((session: Buffer) => void) | null;
  /** The handshake is over; nothing has been read or written yet. */
  readonly established: (link: SecureLink) => void;
  /** The handshake or a record failed. What is told to the peer is on its way; the connection is to be closed. */
  readonly failed: (error: NodeJS.ErrnoException) => void;
}

/** Whether this runtime gives out what is needed. Without it nothing can be encrypted. */
export function canSecure(): boolean {
  return binding !== null && streams !== null;
}

/**
 * Bytes under way that are kept for a connection before it counts as blocked: enough for the kernel to stay busy for a
 * turn of the event loop.
 */
const QUEUE_BYTES = 128 * 1024;
/** One write: OpenSSL keeps as much again until the kernel has taken it. */
const PIECE_BYTES = 64 * 1024;
/** What waits in pieces shorter than this leaves together: a write costs more than copying them. */
const SMALL_BYTES = 8 * 1024;
/** What has been read of the handshake goes in by pieces: OpenSSL would keep a buffer for all of it. */
const EARLY_BYTES = 1000;

interface TcpHandle {
  tls?: TlsHandle;
  readonly fd?: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly writeQueueSize: number;
  readStop(): number;
  reset?(closed: () => void): number;
}
interface TlsHandle {
  _parent: TcpHandle;
  _secureContext: SecureContext;
  reading: boolean;
  onhandshakedone: () => void;
  onerror: (error: NodeJS.ErrnoException) => void;
  onnewsession: (id: Buffer, session: Buffer) => void;
  setALPNProtocols(list: Buffer): void;
  getALPNNegotiatedProtocol(): string | false;
  setVerifyMode(ask: boolean, reject: boolean): void;
  verifyError(): NodeJS.ErrnoException | null;
  getPeerCertificate(chain: boolean): { readonly raw?: Buffer } | undefined;
  getProtocol(): string | null;
  isSessionReused(): boolean;
  setServername(name: string): void;
  setSession(session: Buffer): void;
  setOCSPResponse(response: Buffer): void;
  enableSessionCallbacks(): void;
  receive(bytes: Uint8Array): void;
  start(): void;
  destroySSL(): void;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
}
interface WriteRequest {
  oncomplete?: (this: WriteRequest, status: number) => void;
  link?: SecureLink;
}
interface TlsBinding {
  readonly TLSWrap: { readonly prototype: { reset?: (this: TlsHandle, closed?: () => void) => number } };
  wrap(handle: TcpHandle, context: unknown, server: boolean, written: boolean): TlsHandle;
}
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
}
interface PrivateSocket {
  _handle: TcpHandle | null;
  ssl?: TlsHandle;
  resetAndClosing?: boolean;
}

const binding = privateBinding('tls_wrap') as TlsBinding | null;
const streams = privateBinding('stream_wrap') as StreamBinding | null;
if (binding !== null) {
  // What `destroy` of a socket that is to be reset calls; OpenSSL's handle has none of its own.
  binding.TLSWrap.prototype.reset = function (closed) {
    const done = (): void => {
      this.destroySSL();
      closed?.();
    };
    return this._parent.reset?.(done) ?? -1;
  };
}

function privateBinding(name: string): unknown {
  try {
    return (process as unknown as { binding(name: string): unknown }).binding(name);
  } catch {
    return null;
  }
}

/** The encrypted side of one connection: writes, one after the other, and what the handshake brought. */
export class SecureLink {
  readonly #handle: TlsHandle;
  /** Told when nothing waits any more. */
  readonly #drained: () => void;
  readonly #socket: ReadingSocket;
  /** A request must not be used again from its own completion. */
  #request: WriteRequest;
  #other: WriteRequest;
  #busy = false;
  /** What waits, and for each piece the slab that it lies in, -1 when it is a copy. */
  readonly #queue: Uint8Array[] = [];
  readonly #slabs: number[] = [];
  #queuedBytes = 0;
  #underWayBytes = 0;
  #over = false;

  /** See `secure`. */
  constructor(socket: ReadingSocket, handle: TlsHandle, options: SecureOptions, drained: () => void) {
    this.#socket = socket;
    this.#handle = handle;
    this.#drained = drained;
    this.#request = this.#newRequest();
    this.#other = this.#newRequest();
    handle.onhandshakedone = () => options.established(this);
    handle.onerror = (error) => {
      this.#over = true;
      options.failed(error);
    };
  }

  /** The application protocol agreed on; '' for none. */
  get protocol(): string {
    return this.#handle.getALPNNegotiatedProtocol() || '';
  }

  /** `TLSv1.3` and the like. */
  get version(): string {
    return this.#handle.getProtocol() ?? '';
  }

  get resumed(): boolean {
    return this.#handle.isSessionReused();
  }

  /** OpenSSL's code for what is wrong with the peer's chain (`CERT_HAS_EXPIRED`, ...), '' when nothing is. */
  verifyFault(): string {
    const error = this.#handle.verifyError();
    return error === null || error === undefined ? '' : (error.code ?? error.message);
  }

  /** The peer's certificate in DER; null when it sent none. */
  peerCertificate(): Buffer | null {
    return this.#handle.getPeerCertificate(false)?.raw ?? null;
  }

  /** Whether something that was written waits. */
  get waiting(): boolean {
    return this.#busy || this.#queuedBytes > 0;
  }

  /** What the kernel has taken, encrypted; only ever grows. */
  get takenBytes(): number {
    const { bytesWritten, writeQueueSize } = this.#handle._parent;
    return bytesWritten - writeQueueSize;
  }

  get descriptor(): number {
    return this.#handle._parent.fd ?? -1;
  }

  /**
   * Encrypts and sends `bytes` of the slab `slab`, which is held until they are encrypted; with -1, and when slabs are
   * scarce, what has to wait is copied. False when enough waits: write no more until drained; what is written all the
   * same is kept.
   */
  write(bytes: Uint8Array, slab: number): boolean {
    if (this.#over) return true;
    let rest = bytes;
    if (!this.#busy) {
      // A handle takes one write at a time; a second one would end the process.
      const first = bytes.length > PIECE_BYTES ? bytes.subarray(0, PIECE_BYTES) : bytes;
      rest = bytes.subarray(first.length);
      this.#put(first);
    }
    if (rest.length > 0) {
      const holding = slab >= 0 && rest.length >= SMALL_BYTES && !slabsScarce();
      if (holding) retainSlab(slab);
      this.#queue.push(holding ? rest : Uint8Array.prototype.slice.call(rest));
      this.#slabs.push(holding ? slab : -1);
      this.#queuedBytes += rest.length;
    }
    return this.#underWayBytes + this.#queuedBytes < QUEUE_BYTES;
  }

  /** No write may follow: the socket is being closed. */
  abandon(): void {
    this.#over = true;
    this.#forget();
  }

  #newRequest(): WriteRequest {
    const request = new streams!.WriteWrap();
    request.oncomplete = completed;
    request.link = this;
    return request;
  }

  #put(bytes: Uint8Array): void {
    const request = this.#request;
    this.#request = this.#other;
    this.#other = request;
    this.#busy = true;
    this.#underWayBytes = bytes.length;
    const status = this.#handle.writeBuffer(request, bytes);
    // Failures of the handle itself come by completion.
    if (status !== 0) this.completed(status);
  }

  /** For the requests only. */
  completed(status: number): void {
    this.#busy = false;
    this.#underWayBytes = 0;
    if (this.#over || this.#socket.destroyed) return this.#forget();
    if (status < 0) {
      this.#over = true;
      this.#forget();
      const code = getSystemErrorName(status);
      this.#socket.destroy(Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' }));
      return;
    }
    if (this.#queuedBytes > 0) this.#next();
    else this.#drained();
  }

  /** As much of the queue as makes one write. */
  #next(): void {
    const queue = this.#queue;
    let bytes = queue[0]!;
    let pieces = 1;
    if (bytes.length < SMALL_BYTES) {
      let total = bytes.length;
      while (
        pieces < queue.length &&
        queue[pieces]!.length < SMALL_BYTES &&
        total + queue[pieces]!.length <= PIECE_BYTES
      ) {
        total += queue[pieces++]!.length;
      }
      if (pieces > 1) bytes = Buffer.concat(queue.slice(0, pieces), total);
    }
    let slab = this.#slabs[0]!;
    if (bytes.length > PIECE_BYTES) {
      queue[0] = bytes.subarray(PIECE_BYTES);
      bytes = bytes.subarray(0, PIECE_BYTES);
      slab = -1;
    } else {
      queue.splice(0, pieces);
      this.#slabs.splice(0, pieces);
    }
    this.#queuedBytes -= bytes.length;
    this.#put(bytes);
    // Encrypted by now: OpenSSL has what it could not hand over yet.
    if (slab >= 0) releaseSlab(slab);
  }

  #forget(): void {
    for (const slab of this.#slabs) if (slab >= 0) releaseSlab(slab);
    this.#slabs.length = 0;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
  }
}

function completed(this: WriteRequest, status: number): void {
  this.link!.completed(status);
}

/**
 * Puts TLS on `socket`, whose handle is taken from it: it is of no use any more. `early` is what it has read already
 * (not borrowed). Answers the socket that takes its place, not reading yet (see `begin`), and its link; null when the
 * socket is gone.
 */
export function secure(
  socket: ReadingSocket,
  options: SecureOptions,
  drained: () => void,
): { readonly socket: ReadingSocket; readonly link: SecureLink; begin(early: Uint8Array | null): void } | null {
  const old = socket as unknown as PrivateSocket;
  const tcp = old._handle;
  if (binding === null || tcp === null || socket.destroyed) return null;
  tcp.readStop();
  detach(socket);
  const handle = binding.wrap(tcp, (options.context as unknown as { context: unknown }).context, options.server, false);
  // The handle below must hold the one above: collected in the middle of something it ends the process.
  tcp.tls = handle;
  handle._parent = tcp;
  handle._secureContext = options.context;
  handle.reading = false;
  if (options.alpn !== null) handle.setALPNProtocols(options.alpn);
  if (options.server) prepareServer(handle, options);
  else prepareClient(handle, options);
  const fresh = new Socket({
    handle,
    onread,
    allowHalfOpen: true,
    manualStart: true,
    writableHighWaterMark: WRITABLE_BYTES,
  } as never) as ReadingSocket;
  (fresh as unknown as PrivateSocket).ssl = handle;
  fresh.reader = null;
  const link = new SecureLink(fresh, handle, options, drained);
  const begin = (early: Uint8Array | null): void => {
    for (let at = 0; early !== null && at < early.length && !fresh.destroyed; at += EARLY_BYTES) {
      handle.receive(early.subarray(at, at + EARLY_BYTES));
    }
    if (fresh.destroyed) return;
    fresh.resume();
    if (!options.server) handle.start();
  };
  return { socket: fresh, link, begin };
}

/** Whether a socket encrypts. */
export function isSecure(socket: Socket): boolean {
  return (socket as unknown as PrivateSocket).ssl !== undefined;
}

/** As `breakOff` of receive.ts, for a socket that encrypts. */
export function breakOffSecure(socket: Socket): void {
  // A handle whose end is on its way refuses a reset, and Node would forget it unclosed. Whoever gets less than it should
  // misses the good-bye of TLS.
  if (!socket.writableEnded) (socket as unknown as PrivateSocket).resetAndClosing = true;
  socket.destroy();
}

function detach(socket: Socket): void {
  const { _handle: handle } = socket as unknown as PrivateSocket;
  if (handle === null) return;
  socket.removeAllListeners();
  (socket as ReadingSocket).reader = null;
  (socket as unknown as PrivateSocket)._handle = null;
  socket.on('error', () => {});
  socket.destroy();
}

function prepareServer(handle: TlsHandle, { asking, ocsp }: SecureOptions): void {
  if (asking === true) handle.setVerifyMode(true, false);
  if (ocsp !== null && ocsp !== undefined) handle.setOCSPResponse(ocsp);
}

function prepareClient(handle: TlsHandle, { serverName = '', session, remember }: SecureOptions): void {
  handle.setVerifyMode(true, false);
  if (serverName !== '') handle.setServername(serverName);
  if (session !== null && session !== undefined) handle.setSession(session);
  if (remember !== null && remember !== undefined) {
    handle.enableSessionCallbacks();
    handle.onnewsession = (_id, bytes) => remember(bytes);
  }
}
