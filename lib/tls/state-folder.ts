// Where keys and certificates are kept when nobody says otherwise.

import { homedir } from 'node:os';
import { join } from 'node:path';

/** $MILLRACE_STATE, else what systemd gives ($STATE_DIRECTORY), else the user's own state folder (XDG). */
export function stateFolder(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const { MILLRACE_STATE: own, STATE_DIRECTORY: service, XDG_STATE_HOME: state } = environment;
  if (own !== undefined && own !== '') return own;
  if (service !== undefined && service !== '') return service.split(':')[0]!;
  return join(state !== undefined && state !== '' ? state : join(homedir(), '.local', 'state'), 'millrace');
}
