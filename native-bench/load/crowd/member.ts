// The members of a crowd, one connection each. They stand on plain sockets with a small buffer that all share, so that
// thousands cost little and a slow reader takes no more from the kernel than it should.

import { connect, type Socket } from 'node:net';
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
  #present = false;

  constructor(port: number, watcher: Watcher, path: string) {
    this.#port = port;
    this.watcher = watcher;
    const shape = { method: 'GET', path, fields: [], bodyBytes: 0, chunkBytes: 0, replyBytes: 0 } as const;
    this.request = renderRequest(shape, `127.0.0.1:${port}`, false);
  }

  /** Connects. */
  start(): void {
    const onread = { buffer: shared, callback: (bytes: number) => this.received(bytes) };
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true, onread });
    this.socket = socket;
    socket.once('connect', () => {
      this.open = true;
      this.scanner.begin();
      this.connected(socket);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (!this.#present) this.watcher.failed(error.code ?? error.message);
    });
    socket.once('close', () => this.#left());
  }

  /** Comes round once a second. */
  abstract beat(): void;

  protected abstract connected(socket: Socket): void;

  /** So many bytes are in the shared buffer; false to read no further until the socket is resumed. */
  protected abstract received(bytes: number): boolean;

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
  constructor(port: number, watcher: Watcher) {
    super(port, watcher, SMALL_PATH);
  }

  override beat(): void {}

  protected override connected(socket: Socket): void {
    socket.write(this.request);
  }

  protected override received(bytes: number): boolean {
    if (this.scanner.scan(shared, 0, bytes) === Found.MORE) return true;
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

  protected override received(bytes: number): boolean {
    if (this.scanner.scan(shared, 0, bytes) !== Found.MORE) {
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

  protected override received(bytes: number): boolean {
    if (this.scanner.scan(shared, 0, bytes) !== Found.MORE) {
      this.scanner.begin();
      this.socket?.write(this.request);
    }
    return false;
  }
}

/** What a slow reader takes in a second. Nobody keeps what is read into it. */
const SHARED_BYTES = 1024;
const shared = Buffer.alloc(SHARED_BYTES);
