// What becomes of an accepted connection: its PROXY header is read, its protocol told, and it is handed to whoever
// speaks that. The only switch on protocol.

import { unmapAddress } from '../base/address.ts';
import { type ProxyError, proxyError } from '../base/errors.ts';
import { Client, type SecuredClient } from '../http/client.ts';
import { certificateLines, fingerprintLines } from '../http/client-certificate.ts';
import { DownstreamConnection } from '../http/h1/downstream.ts';
import { DownstreamSession } from '../http/h2/downstream.ts';
import type { Drainable, HttpListener } from '../http/listener.ts';
import type { Connection } from '../io/connection.ts';
import type { SecureLink } from '../io/secure.ts';
import { pass } from '../tcp/proxy.ts';
import type { Accepted } from '../tls/accept.ts';
import { CHALLENGE_PROTOCOL } from '../tls/alpn.ts';
import { type Fingerprints, fingerprint } from '../tls/fingerprint.ts';
import type { Terminator } from '../tls/terminator.ts';
import type { Cluster } from '../upstream/cluster.ts';
import { ClientHello, HELLO_BYTES, Hello, readClientHello } from '../wire/client-hello.ts';
import { Detected, detect } from '../wire/detect.ts';
import { type ProxyEnd, ProxyHeader, ProxyRead, readProxyHeader } from '../wire/proxy-protocol.ts';
import { Preface, Reading } from './preface.ts';
import type { ListenerPlan } from './snapshot.ts';

/** What a connection may use of its listener. */
export interface Dispatcher {
  readonly plan: ListenerPlan;
  readonly http: HttpListener;
  /** As `http`, for requests over TLS. */
  readonly https: HttpListener;
  /** Whether the word of a peer with this address is taken. */
  trusts(address: string): boolean;
}

const PLAIN_TEXT = '400 Bad Request\nThis port speaks TLS: use https:// instead of http://.\n';
const PLAIN = Buffer.from(
  `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${PLAIN_TEXT.length}\r\n` +
    `Connection: close\r\n\r\n${PLAIN_TEXT}`,
  'latin1',
);

// Read one at a time, so these serve all connections.
const header = new ProxyHeader();
const hello = new ClientHello();

/** One accepted connection from its first byte to its last. */
export class Session {
  readonly connection: Connection;
  readonly #dispatcher: Dispatcher;
  /** As it was when the connection came: the listener may follow another one meanwhile. */
  readonly #plan: ListenerPlan;
  #source: ProxyEnd;
  /** Null until a PROXY header has said it; else it is asked of the socket when somebody wants to know. */
  #destination: ProxyEnd | null = null;
  /** Whether what is said about the client is believed: by the peer, and behind a PROXY header by the client it names. */
  #trusted: boolean;
  #http: Drainable | null = null;

  /** `local`: the peer came over a unix socket, whose permissions say who may; it is trusted. */
  constructor(connection: Connection, dispatcher: Dispatcher, local: boolean) {
    const { socket } = connection;
    this.connection = connection;
    this.#dispatcher = dispatcher;
    this.#plan = dispatcher.plan;
    // A listener for both families sees IPv4 clients as mapped IPv6 addresses; nobody upstream wants to know.
    this.#source = { address: unmapAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
    this.#trusted = local || dispatcher.trusts(this.#source.address);
  }

  /** The HTTP side, once the connection has turned out to have one. */
  get http(): Drainable | null {
    return this.#http;
  }

  begin(): void {
    const { proxyProtocol, timeouts } = this.#plan.options;
    if (proxyProtocol !== 'off' && this.#trusted) {
      new Preface(this.connection, timeouts.headMs, {
        read: (bytes, start, end) => this.#readHeader(bytes, start, end),
        // Where none is demanded, silence may be the protocol's own way to begin.
        expired: (bytes) => {
          if (proxyProtocol === 'accept') this.#speak(bytes);
          else this.#refuse(proxyError('bad_proxy_header', 'none in time'));
        },
      });
    } else if (proxyProtocol === 'require') {
      this.#refuse(proxyError('bad_proxy_header', 'not a trusted proxy'));
    } else {
      this.#speak(null);
    }
  }

  #readHeader(bytes: Buffer, start: number, end: number): number {
    const result = readProxyHeader(bytes, start, end, header);
    if (result === ProxyRead.MORE) return Reading.MORE;
    if (result === ProxyRead.DONE) {
      this.#identify();
      this.#speak(bytes.subarray(start + header.length, end));
    } else if (result === ProxyRead.NONE && this.#plan.options.proxyProtocol === 'accept') {
      this.#speak(bytes.subarray(start, end));
    } else {
      this.#refuse(proxyError('bad_proxy_header', header.fault));
    }
    return Reading.DONE;
  }

  /** The client is whom the header names. The peer only passes bytes on, so its own trust does not cover them. */
  #identify(): void {
    this.#trusted = false;
    if (header.local) return;
    if (header.family === 'tcp4' || header.family === 'tcp6') {
      this.#source = { address: unmapAddress(header.sourceAddress), port: header.sourcePort };
      this.#destination = { address: header.destinationAddress, port: header.destinationPort };
      this.#trusted = this.#dispatcher.trusts(this.#source.address);
    } else {
      // A path on another machine names nobody here.
      this.#source = { address: '', port: 0 };
      this.#destination = { address: '', port: 0 };
    }
  }

  /** Hands the connection on; `first` are bytes that have arrived already, borrowed. */
  #speak(first: Buffer | null): void {
    const plan = this.#plan;
    const rest = first === null || first.length === 0 ? null : first;
    if (plan.tls !== null && plan.options.protocol !== 'auto') return this.#expectTls(plan.tls, rest);
    switch (plan.options.protocol) {
      case 'http':
        return this.#speakHttp(rest);
      case 'tcp':
        return this.#passTo(plan.cluster!, rest);
      case 'auto':
        return this.#detect(rest);
    }
  }

  #speakHttp(first: Buffer | null): void {
    this.#serve('', null);
    if (first !== null) this.connection.inject(first);
  }

  /** Hands the connection to the version of HTTP that was agreed on. */
  #serve(protocol: string, secured: SecuredClient | null): void {
    const { http, https } = this.#dispatcher;
    const { address, port } = this.#source;
    const client = new Client(address, port, this.#trusted, this.#plan.options.forwarded, secured);
    const listener = secured === null ? http : https;
    this.#http =
      protocol === 'h2'
        ? new DownstreamSession(this.connection, client, listener)
        : new DownstreamConnection(this.connection, client, listener);
  }

  #passTo(cluster: Cluster, first: Buffer | null): void {
    const { http } = this.#dispatcher;
    const { socket } = this.connection;
    const asked = cluster.options.proxyProtocol !== 'off';
    pass(this.connection, first === null ? null : Buffer.from(first), {
      cluster,
      idleMs: this.#plan.options.timeouts.tunnelMs,
      source: this.#source,
      destination: asked
        ? (this.#destination ?? { address: socket.localAddress ?? '', port: socket.localPort ?? 0 })
        : null,
      log: http.log,
    });
  }

  /** Reads the hello of a client that must speak TLS. */
  #expectTls(tls: Terminator, first: Buffer | null): void {
    const preface = new Preface(this.connection, tls.options.handshakeTimeoutMs, {
      read: (bytes, start, end) => {
        switch (detect(bytes, start, end)) {
          case Detected.MORE:
            return Reading.MORE;
          case Detected.TLS:
            return this.#readHello(preface, bytes, start, end);
          case Detected.HTTP1:
            this.#refusePlain();
            return Reading.DONE;
          default:
            this.#refuse(proxyError('bad_handshake', 'not TLS'));
            return Reading.DONE;
        }
      },
      expired: () => this.#refuse(proxyError('bad_handshake', 'no hello in time')),
    });
    if (first !== null) this.connection.inject(first);
  }

  /** Whoever speaks HTTP to a port of TLS is told so in words that it understands. */
  #refusePlain(): void {
    this.#count(proxyError('plain_http'));
    this.connection.send(PLAIN, 0, PLAIN.length);
    this.connection.close();
  }

  #terminate(tls: Terminator, bytes: Buffer): void {
    const { connection } = this;
    const { serverName } = hello;
    const early = Buffer.from(bytes);
    const fingerprints = this.#plan.fingerprints ? fingerprint(early, 0, hello.length) : null;
    const accepted: Accepted = {
      secured: (link) => this.#secured(tls, link, serverName, fingerprints),
      refused: (cause) => this.#count(proxyError('bad_handshake', cause), fingerprints?.ja4),
    };
    if (hello.alpn[0] === CHALLENGE_PROTOCOL && tls.prove(connection, serverName, early, accepted)) return;
    tls.accept(connection, serverName, early, accepted);
  }

  /** The handshake is over: from here on it is as without TLS. */
  #secured(tls: Terminator, link: SecureLink, serverName: string, fingerprints: Fingerprints | null): void {
    const plan = this.#plan;
    if (plan.options.protocol === 'tcp') return this.#passTo(plan.cluster!, null);
    const certificate = plan.options.tls!.clientAuth === null ? null : link.peerCertificate();
    // A trusted proxy tells of its own client, if it does.
    const told =
      plan.options.tls!.fingerprint && fingerprints !== null && !this.#trusted ? fingerprintLines(fingerprints) : '';
    const secured: SecuredClient = {
      serverName,
      lines: told + (certificate === null ? '' : certificateLines(certificate)),
      fingerprints,
      // Asked anew each time: certificates are replaced while connections stay.
      covers: (host) => tls.store.named(host) === tls.store.find(serverName),
    };
    this.#serve(link.protocol, secured);
  }

  #detect(first: Buffer | null): void {
    const plan = this.#plan;
    const { detectTimeoutMs, timeouts } = plan.options;
    const preface = new Preface(this.connection, plan.fallback === null ? timeouts.headMs : detectTimeoutMs, {
      read: (bytes, start, end) => this.#tell(preface, bytes, start, end),
      // Whoever waits to be spoken to first speaks neither TLS nor HTTP.
      expired: (bytes) => this.#fallBack(bytes),
    });
    if (first !== null) this.connection.inject(first);
  }

  #tell(preface: Preface, bytes: Buffer, start: number, end: number): number {
    switch (detect(bytes, start, end)) {
      case Detected.MORE:
        return Reading.MORE;
      case Detected.TLS:
        return this.#readHello(preface, bytes, start, end);
      case Detected.HTTP1:
      case Detected.HTTP2:
        this.#speakHttp(bytes.subarray(start, end));
        return Reading.DONE;
      default:
        this.#fallBack(bytes.subarray(start, end));
        return Reading.DONE;
    }
  }

  #readHello(preface: Preface, bytes: Buffer, start: number, end: number): number {
    const result = readClientHello(bytes, start, end, hello);
    if (result === Hello.MORE) {
      // It is TLS, so silence means something else from here on.
      const { tls: ours, options } = this.#plan;
      preface.allow(ours?.options.handshakeTimeoutMs ?? options.timeouts.headMs, HELLO_BYTES, () =>
        this.#refuse(proxyError('head_timeout')),
      );
      return Reading.MORE;
    }
    const cluster = result === Hello.DONE ? this.#named(hello.serverName) : null;
    const { tls } = this.#plan;
    if (cluster === null && tls !== null && result === Hello.DONE) this.#terminate(tls, bytes.subarray(start, end));
    else if (cluster === null)
      this.#refuse(proxyError('no_route', result === Hello.DONE ? 'no passthrough for this name' : hello.fault));
    else this.#passTo(cluster, bytes.subarray(start, end));
    return Reading.DONE;
  }

  /** The cluster for a server name: exact, then the longest wildcard, then `*`. */
  #named(serverName: string): Cluster | null {
    const { passthrough } = this.#plan;
    const exact = passthrough.get(serverName);
    if (exact !== undefined) return exact;
    for (let dot = serverName.indexOf('.'); dot >= 0; dot = serverName.indexOf('.', dot + 1)) {
      const wild = passthrough.get(`*${serverName.slice(dot)}`);
      if (wild !== undefined) return wild;
    }
    return passthrough.get('*') ?? null;
  }

  #fallBack(first: Buffer | null): void {
    const { fallback } = this.#plan;
    if (fallback === null) this.#refuse(proxyError('no_route', 'neither TLS nor HTTP'));
    else this.#passTo(fallback, first);
  }

  #refuse(error: ProxyError): void {
    this.#count(error);
    this.connection.destroy();
  }

  #count(error: ProxyError, ja4?: string): void {
    const { http } = this.#dispatcher;
    http.stats.refused++;
    http.log.limited(`refused ${error.code}`, 1000).info('connection refused', {
      listener: this.#plan.name,
      client: this.#source.address,
      cause: error.code,
      detail: error.detail,
      ja4,
    });
  }
}
