// Names of application protocols as they stand in a hello (RFC 7301 3.1).

/** The list that OpenSSL is given: each name after its length. Names have 1 to 255 bytes. */
export function protocolList(names: readonly string[]): Buffer {
  return Buffer.concat(names.map((name) => Buffer.from([name.length, ...Buffer.from(name, 'latin1')])));
}

/** What authorities ask for that look at a challenge (RFC 8737 4). */
export const CHALLENGE_PROTOCOL = 'acme-tls/1';
