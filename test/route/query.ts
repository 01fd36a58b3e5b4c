// Requests for the route room's tests, laid out in bytes as a parser would.

import { RouteQuery } from '../../lib/route/match.ts';
import { Fields } from '../../lib/wire/fields.ts';
import { methodCode } from '../../lib/wire/http1/method.ts';

export interface TestRequest {
  host?: string;
  path?: string;
  method?: string;
  header?: readonly (readonly [string, string])[];
}

/** The request as a query; host, path and fields stand at odd offsets, the path in a buffer of its own if `apart`. */
export function queryOf(request: TestRequest, apart = false): RouteQuery {
  const host = Buffer.from(request.host ?? '', 'latin1');
  const path = Buffer.from(request.path ?? '/', 'latin1');
  const lines = (request.header ?? []).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const bytes = Buffer.concat([Buffer.from('!'), host, Buffer.from(':80 '), path, Buffer.from(`?q\r\n${lines}\r\n`)]);
  const fields = new Fields(bytes, 1);
  const query = new RouteQuery(fields);
  query.hostStart = 1;
  query.hostEnd = 1 + host.length;
  query.pathStart = query.hostEnd + 4;
  query.pathEnd = query.pathStart + path.length;
  query.method = methodCode(request.method ?? 'GET');
  let at = query.pathEnd + 4;
  (request.header ?? []).forEach(([name, value], field) => {
    fields.add(at, at + name.length);
    fields.setValue(field, at + name.length + 2, at + name.length + 2 + value.length);
    fields.setLineEnd(field, (at += name.length + value.length + 4));
  });
  if (apart) {
    query.pathBytes = Buffer.concat([Buffer.from('...'), path, Buffer.from('/tail')]);
    query.pathStart = 3;
    query.pathEnd = 3 + path.length;
  }
  return query;
}
