// What programs that embed or configure Millrace import.

export { type ConfigurationDocument, defineConfig } from './config/schema.ts';
