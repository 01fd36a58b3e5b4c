// What is wrong with a match that somebody wrote, and what would be right. Never on the way of a request.

import { isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { didYouMean } from '../base/nearest.ts';
import { METHODS, methodCode } from '../wire/http1/method.ts';
import { normalisePath } from '../wire/uri.ts';
import { fieldNameFault, fieldValueFault } from './field-edits.ts';
import type { MatchOptions } from './options.ts';

/** Everything that is wrong with a match, as `KEY "WORD": what is wrong, what would be right`. */
export function checkMatch(match: MatchOptions): string[] {
  return [
    ...checkList('host', match.host, hostFault),
    ...checkList('path', match.path, matchedPathFault),
    ...checkList('method', match.method, methodFault),
    ...checkHeader(match.header ?? {}),
    ...checkList('ja3', match.ja3, (text) =>
      /^[0-9a-f]{32}$/.test(text) ? '' : 'write its 32 hexadecimal digits in lower case',
    ),
    ...checkList('ja4', match.ja4, ja4Fault),
  ];
}

/** What is wrong with a path pattern or with the path that a rewrite leads to, or ''. */
export function pathFault(text: string): string {
  if (!text.startsWith('/')) return text === '*' ? 'write "/*" for every path' : 'a path begins with "/"';
  if (text.length > LONGEST_PATH) return `a path has at most ${LONGEST_PATH} characters`;
  if (text.includes('**')) return 'one "*" stands for a run within a segment, and "/*" at the end for any rest';
  if (text.includes('?')) return 'the query is not part of the path; leave out what begins with "?"';
  if (text.includes('#')) return 'a fragment never reaches a server; leave out what begins with "#"';
  if (text.includes('\\')) return 'a path has no "\\"; write "/" between segments, or "%5C" for the character';
  if (/%(?![0-9a-f]{2})/i.test(text))
    return 'a "%" is followed by two hexadecimal digits; write "%25" for a percent sign';
  if (/[^\x21-\x7e]/.test(text)) return `paths are compared percent-encoded; write "${percentEncode(text)}"`;
  if (/\/(\.|%2e){1,2}(\/|$)/i.test(text)) return 'segments "." and ".." are resolved before routing and match nothing';
  return '';
}

/** The text with every byte that may not stand in a request line as %XX; what is encoded already is kept. */
export function percentEncode(text: string): string {
  return text.replace(/[^\x21-\x7e]+/g, (run) =>
    Array.from(Buffer.from(run), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/** What is wrong with a name or IP literal, IPv6 in brackets and without a port, or ''. */
export function hostNameFault(text: string): string {
  const name = text.replace(/\.$/, '');
  if (name === '') return 'a host has a name';
  if (isIPv6(name)) return `write an IPv6 address in brackets: "[${name}]"`;
  if (name.startsWith('[') && name.endsWith(']')) {
    const address = name.slice(1, -1);
    if (!isIPv6(address) || address.includes('%')) return `"${address}" is not an IPv6 address`;
    const canonical = new URL(`http://${name}`).hostname;
    return canonical === name.toLowerCase() ? '' : `addresses are compared as text; write it short: "${canonical}"`;
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(name)) return 'write the host alone, without scheme and path';
  if (name.includes('/')) return 'write the host alone, without a path';
  const port = /^(.*):\d*$/.exec(name);
  if (port !== null) return `a host is compared without its port; write "${port[1]}"`;
  if (/[^\x21-\x7e]/.test(name)) {
    const ascii = domainToASCII(name);
    return ascii === '' ? 'this is not a host name' : `write an international name as it is sent: "${ascii}"`;
  }
  if (name.length > 253) return 'a host name has at most 253 characters';
  if (!/^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/i.test(name)) {
    return 'a host name has labels of letters, digits, "-" and "_", at most 63 characters each, with dots between';
  }
  return '';
}

/** Far more than a sensible path, and far less than what makes a deep tree. */
const LONGEST_PATH = 2048;

function checkList(what: string, list: readonly string[] | undefined, fault: (text: string) => string): string[] {
  if (list === undefined) return [];
  if (list.length === 0) return [`${what}: an empty list matches nothing; leave it out to match every ${what}`];
  return list.flatMap((text) => {
    const found = fault(text);
    return found === '' ? [] : [`${what} "${text}": ${found}`];
  });
}

function hostFault(text: string): string {
  if (text === '*') return '';
  const name = text.startsWith('*.') ? text.slice(2) : text;
  if (name.includes('*')) return 'a "*" stands alone or for the labels on the left, as in "*.example.com"';
  const fault = hostNameFault(name);
  if (fault !== '' || name === text) return fault;
  return /(^|\.)\d+\.?$/.test(name) || name.startsWith('[') ? 'an IP address has no wildcard; write it whole' : '';
}

/** As `pathFault`; besides, the pattern is spelled as the paths are that it is compared with. */
function matchedPathFault(text: string): string {
  const fault = pathFault(text);
  if (fault !== '') return fault;
  const normal = normalisePath(text);
  if (normal === text) return '';
  return normal === null
    ? 'no path that is accepted looks like this'
    : `paths are compared normalised; write "${normal}"`;
}

function methodFault(text: string): string {
  if (methodCode(text) >= 0) return '';
  const upper = text.toUpperCase();
  if (text === '*') return 'leave method out to match every method';
  if (methodCode(upper) >= 0) return `methods are written in upper case: "${upper}"`;
  return `not a method that can arrive${didYouMean(upper, METHODS)}`;
}

function ja4Fault(text: string): string {
  return /^[a-z0-9]{10}_[0-9a-f]{12}_[0-9a-f]{12}$/i.test(text)
    ? ''
    : 'write it whole, such as "t13d1516h2_8daaf6152771_e5627efa2ab1"';
}

function checkHeader(header: Readonly<Record<string, string>>): string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(header)) {
    const fault = fieldNameFault(name) || fieldValueFault(value);
    if (fault !== '') faults.push(`header "${name}": ${fault}`);
    if (seen.has(name.toLowerCase()))
      faults.push(`header "${name}": names compare without case, so this is there twice`);
    seen.add(name.toLowerCase());
  }
  return faults;
}
