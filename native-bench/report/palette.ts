// A colour and a line style for each peer, the same in every chart, run and mode. Hues follow Okabe and Ito, whose colours
// stay apart for colour-blind readers; kin share a hue and differ by their dashes, and names always stand beside.

/** A CSS class of the page's style for `peer`, which gives its colour and dashes. */
export function peerClass(peer: string): string {
  const known = PEERS[peer];
  if (known !== undefined) return known;
  const family = Object.keys(PEERS).find((name) => peer.startsWith(`${name}@`) || peer.startsWith(`${name}-`));
  if (family !== undefined) return `${PEERS[family]!.split(' ')[0]} dotted`;
  let sum = 0;
  for (let at = 0; at < peer.length; at++) sum = (sum * 31 + peer.charCodeAt(at)) % 997;
  return `hue-${sum % HUES.length} dotted`;
}

/** The style rules of all classes, once for light pages and once for dark ones. */
export function paletteRules(): string {
  const rules = (mode: 0 | 1): string => HUES.map((hue, at) => `.hue-${at}{--hue:${hue[mode]}}`).join('');
  return `${rules(0)}\n@media (prefers-color-scheme:dark){${rules(1)}}`;
}

/** Light, dark. All have a contrast of at least 3 to 1 with the page behind them. */
const HUES = [
  ['#0a66c2', '#5cb0ff'],
  ['#00855f', '#2ccf9f'],
  ['#c26a00', '#ffab40'],
  ['#b8418b', '#f08fca'],
  ['#cc4019', '#ff8560'],
  ['#6b5fc7', '#aaa0ff'],
  ['#7a6a00', '#dccb45'],
  ['#0a8ba3', '#62d5ea'],
  ['#66707c', '#a9b4c0'],
  ['#8a5a33', '#d0a27a'],
] as const;

const PEERS: Readonly<Record<string, string>> = {
  millrace: 'hue-0',
  nginx: 'hue-1',
  'nginx-streaming': 'hue-1 dashed',
  haproxy: 'hue-2',
  'http-proxy': 'hue-3',
  'http-proxy-default': 'hue-3 dashed',
  'fast-proxy': 'hue-4',
  httpxy: 'hue-5',
  'fastify-http-proxy': 'hue-6',
  caddy: 'hue-7',
  varnish: 'hue-8',
  traefik: 'hue-9',
  envoy: 'hue-9 dashed',
};
