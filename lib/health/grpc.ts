// The health service of gRPC (grpc.health.v1.Health/Check): its question and its answer, which are too small to need more
// than their bytes. https://github.com/grpc/grpc/blob/master/doc/health-checking.md

export const GRPC_PATH = '/grpc.health.v1.Health/Check';

const STATES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const SERVING = 1;

/** HealthCheckRequest with its frame: `service` is field 1, a string of at most 127 bytes. */
export function grpcQuestion(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame, message]);
}

/** '' when the answer is SERVING, else what is wrong. `body` is a string of bytes. */
export function grpcAnswer(status: number, grpcStatus: string, body: string): string {
  if (status !== 200) return `status ${status}`;
  if (grpcStatus !== '' && grpcStatus !== '0') return `grpc-status ${grpcStatus}`;
  // A frame's five bytes, then field 1 as a varint, which is left out for 0.
  const state = body.length >= 7 && body.charCodeAt(5) === 0x08 ? body.charCodeAt(6) : 0;
  return state === SERVING ? '' : (STATES[state] ?? `state ${state}`);
}
