// The llhttp 9 parser as WebAssembly, and the one block of memory that it shares with every socket: receive and send
// slabs lie inside it, so bytes are parsed where the kernel put them. What the callbacks mean is left to parser.ts.

// The wasm build that undici carries; see docs/decisions/llhttp.md for why not the npm package of that name.
import llhttpBytes from 'undici/lib/llhttp/llhttp_simd-wasm.js';

/** What llhttp calls while it executes; `parser` is the address of its state. Results follow llhttp's conventions. */
export interface Callbacks {
  onTarget(start: number, length: number): number;
  onStatusText(start: number, length: number): number;
  onFieldName(start: number, length: number): number;
  onFieldValue(start: number, length: number): number;
  onHeadEnd(status: number, upgrade: boolean, keepAlive: boolean): number;
  onBody(start: number, length: number): number;
  onMessageEnd(): number;
}

// The part of the WebAssembly interface that is used; Node's types leave it to the browser's.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: object };
};

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  _initialize(): void;
  malloc(bytes: number): number;
  llhttp_alloc(type: number): number;
  llhttp_execute(parser: number, start: number, length: number): number;
  llhttp_finish(parser: number): number;
  llhttp_get_error_pos(parser: number): number;
  llhttp_get_error_reason(parser: number): number;
  llhttp_get_method(parser: number): number;
  llhttp_get_http_major(parser: number): number;
  llhttp_get_http_minor(parser: number): number;
  llhttp_message_needs_eof(parser: number): number;
}

/** llhttp's result codes that mean something to us (llhttp.h, enum llhttp_errno). */
export const Result = {
  OK: 0,
  INVALID_METHOD: 6,
  INVALID_VERSION: 9,
  PAUSED: 21,
  PAUSED_H2_UPGRADE: 23,
  USER: 24,
} as const;

export const REQUEST = 1;
export const RESPONSE = 2;

/** sizeof(llhttp_t) in wasm32, llhttp 9.x; checked below against what two allocations tell. */
const STATE_BYTES = 64;
/** Everything that is ever carved: address space only, pages are touched when first used. */
const ARENA_BYTES = 80 * 1024 * 1024;

const NOBODY: Callbacks = {
  onTarget: () => Result.USER,
  onStatusText: () => Result.USER,
  onFieldName: () => Result.USER,
  onFieldValue: () => Result.USER,
  onHeadEnd: () => Result.USER,
  onBody: () => Result.USER,
  onMessageEnd: () => Result.USER,
};
let current: Callbacks = NOBODY;

const llhttp = instantiate();
const templates = [0, llhttp.llhttp_alloc(REQUEST), llhttp.llhttp_alloc(RESPONSE)];
if (Math.abs(templates[2]! - templates[1]!) < STATE_BYTES) throw new Error('llhttp: unexpected parser size');
let carved = (llhttp.malloc(ARENA_BYTES) + 63) & ~63;
const arenaEnd = carved + ARENA_BYTES - 64;

/**
 * The parser's whole memory. Sized once, here: growing it would detach every view that sockets hold. llhttp itself
 * allocates nothing after this point.
 */
export const memory: Buffer = Buffer.from(llhttp.memory.buffer);

/** Takes `bytes` of the memory for good (start-up and pools that grow); 0 when the arena is used up. Aligned to 64. */
export function carve(bytes: number): number {
  const at = carved;
  const end = (at + bytes + 63) & ~63;
  if (end > arenaEnd) return 0;
  carved = end;
  return at;
}

/** Takes room for one parser state; 0 when the arena is used up. */
export function carveState(): number {
  return carve(STATE_BYTES);
}

/** Makes the state at `state` fresh: all strict, nothing seen yet. `type` is REQUEST or RESPONSE. */
export function initialise(state: number, type: number): void {
  const template = templates[type]!;
  memory.copyWithin(state, template, template + STATE_BYTES);
}

/** Parses `length` bytes at `start`, calling `callbacks` on the way. Returns a `Result`. */
export function execute(state: number, callbacks: Callbacks, start: number, length: number): number {
  const outer = current;
  current = callbacks;
  const result = llhttp.llhttp_execute(state, start, length);
  current = outer;
  return result;
}

/** Tells the parser that no more bytes come; bodies delimited by close end here. Returns a `Result`. */
export function finish(state: number, callbacks: Callbacks): number {
  const outer = current;
  current = callbacks;
  const result = llhttp.llhttp_finish(state);
  current = outer;
  return result;
}

/** Where the last execute stopped (paused or failed), as an offset in memory. */
export function stoppedAt(state: number): number {
  return llhttp.llhttp_get_error_pos(state);
}

/** llhttp's own words for its last error. Allocates. */
export function reason(state: number): string {
  const start = llhttp.llhttp_get_error_reason(state);
  if (start === 0) return '';
  const end = memory.indexOf(0, start);
  return memory.toString('latin1', start, Math.min(end, start + 200));
}

export function methodOf(state: number): number {
  return llhttp.llhttp_get_method(state);
}
export function majorOf(state: number): number {
  return llhttp.llhttp_get_http_major(state);
}
export function minorOf(state: number): number {
  return llhttp.llhttp_get_http_minor(state);
}

function instantiate(): Exports {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(llhttpBytes)), {
    env: {
      wasm_on_message_begin: () => 0,
      wasm_on_url: (_: number, start: number, length: number) => current.onTarget(start, length),
      wasm_on_status: (_: number, start: number, length: number) => current.onStatusText(start, length),
      wasm_on_header_field: (_: number, start: number, length: number) => current.onFieldName(start, length),
      wasm_on_header_value: (_: number, start: number, length: number) => current.onFieldValue(start, length),
      wasm_on_headers_complete: (_: number, status: number, upgrade: number, keepAlive: number) =>
        current.onHeadEnd(status, upgrade === 1, keepAlive === 1),
      wasm_on_body: (_: number, start: number, length: number) => current.onBody(start, length),
      wasm_on_message_complete: () => current.onMessageEnd(),
    },
  });
  const exports = instance.exports as unknown as Exports;
  exports._initialize();
  return exports;
}
