// What programs that embed or configure Millrace import.

export { type ConfigurationDocument, defineConfig } from './config/schema.ts';
export {
  ConfigurationError,
  createProxy,
  type ProxyEvents,
  type ProxyOptions,
  type RunningProxy,
} from './process/embedded.ts';
