// What programs that embed or configure Millrace import.

export { defineConfig } from './config/schema.ts';
