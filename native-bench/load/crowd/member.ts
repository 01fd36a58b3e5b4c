// The members of a crowd, one connection each. They stand on plain sockets with a small buffer that all share, so that
// thousands cost little and a slow reader takes no more from the kernel than it should. Behind TLS they are Node's own.

import { connect, type Socket } from 'node:net';
import { connect as connectSecurely, createSecureContext, type SecureContext } from 'node:tls';
import { LARGE_PATH, SMALL_PATH } from '../../origin/content.ts';
import { Found, ReplyScanner } from '../generator/reply-scanner.ts';
import { renderRequest } from '../request.ts';

/** Who is told about members. */
export interface Watcher {
  /** A member is there, for the first time. */
  joined(): void;
  /** The proxy has closed a connection that was there. */
  closed(): void;
  /** A member cannot get there at all. */
  failed(reason: string): void;
}

export abstract class Member {
  /** Whether its connection stands. */
  open = false;
  protected socket: Socket | null = null;
  protected readonly scanner = new ReplyScanner();
  protected readonly request: Buffer;
  protected readonly watcher: Watcher;
  readonly #port: number;
  /** The event that says that a connection stands. */
  readonly #standing: 'connect' | 'secureConnect';
  #present = false;

  /** `secure`: behind TLS. */
  constructor(port: number, watcher: Watcher, path: string, secure = false) {
    this.#port = port;
    this.#standing = secure ? 'secureConnect' : 'connect';
    this.watcher = watcher;
    const shape = { method: 'GET', path, fields: [], bodyBytes: 0, chunkBytes: 0, replyBytes: 0 } as const;
    this.request = renderRequest(shape, `127.0.0.1:${port}`, false);
  }

  /** Connects. */
  start(): void {
    const socket = this.dial(this.#port);
    this.socket = socket;
    socket.once(this.#standing, () => {
      this.open = true;
      this.scanner.begin();
      this.connected(socket);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (!this.#present) this.watcher.failed(error.code ?? error.message);
    });
    socket.once('close', () => this.#left());
  }

  protected dial(port: number): Socket {
    const onread = { buffer: shared, callback: (bytes: number) => this.received(shared, bytes) };
    return connect({ host: '127.0.0.1', port, noDelay: true, onread });
  }

  /** Comes round once a second. */
  abstract beat(): void;

  protected abstract connected(socket: Socket): void;

  /** The first `length` of `bytes` have come; false to read no further until the socket is resumed. */
  protected abstract received(bytes: Buffer, length: number): boolean;

  protected join(): void {
    if (this.#present) return;
    this.#present = true;
    this.watcher.joined();
  }

  #left(): void {
    const { open } = this;
    this.open = false;
    this.socket = null;
    if (!this.#present) this.watcher.failed('the proxy closes them at once');
    else if (open) this.watcher.closed();
  }
}

/** Has one whole exchange, so that the proxy has gone through all that it does for a connection, and is silent. */
export class IdleMember extends Member {
  readonly #secure: boolean;

  constructor(port: number, watcher: Watcher, secure: boolean) {
    super(port, watcher, SMALL_PATH, secure);
    this.#secure = secure;
  }

  override beat(): void {}

  protected override dial(port: number): Socket {
    if (!this.#secure) return super.dial(port);
    secureContext ??= createSecureContext({ minVersion: 'TLSv1.3' });
    const socket = connectSecurely({ host: '127.0.0.1', port, secureContext, rejectUnauthorized: false });
    socket.setNoDelay(true);
    return socket.on('data', (bytes: Buffer) => this.received(bytes, bytes.length));
  }

  protected override connected(socket: Socket): void {
    socket.write(this.request);
  }

  protected override received(bytes: Buffer, length: number): boolean {
    if (this.scanner.scan(bytes, 0, length) === Found.MORE) return true;
    if (this.scanner.status === 200) this.join();
    else this.watcher.failed(`answered with status ${this.scanner.status}`);
    return true;
  }
}

/** Sends a request at a byte a second, then the next. */
export class DrippingMember extends Member {
  #sent = 0;

  constructor(port: number, watcher: Watcher) {
    super(port, watcher, SMALL_PATH);
  }

  override beat(): void {
    if (this.socket === null) return this.start();
    if (!this.open || this.#sent === this.request.length) return;
    this.socket.write(this.request.subarray(this.#sent, ++this.#sent));
  }

  protected override connected(): void {
    this.#sent = 0;
    this.join();
  }

  protected override received(bytes: Buffer, length: number): boolean {
    if (this.scanner.scan(bytes, 0, length) !== Found.MORE) {
      this.scanner.begin();
      this.#sent = 0;
    }
    return true;
  }
}

/** Sends a request whole and reads the large answer at a buffer a second. */
export class ReadingMember extends Member {
  constructor(port: number, watcher: Watcher) {
    super(port, watcher, LARGE_PATH);
  }

  override beat(): void {
    if (this.socket === null) this.start();
    else if (this.open) this.socket.resume();
  }

  protected override connected(socket: Socket): void {
    socket.write(this.request);
    this.join();
  }

  protected override received(bytes: Buffer, length: number): boolean {
    if (this.scanner.scan(bytes, 0, length) !== Found.MORE) {
      this.scanner.begin();
      this.socket?.write(this.request);
    }
    return false;
  }
}

/** What a slow reader takes in a second. Nobody keeps what is read into it. */
const SHARED_BYTES = 1024;
const shared = Buffer.alloc(SHARED_BYTES);
/** One for all that need it. */
let secureContext: SecureContext | null = null;
