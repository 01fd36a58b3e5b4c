// The one file of undici that is used: llhttp compiled to WebAssembly. A static import, so that bundles hold its bytes.

declare module 'undici/lib/llhttp/llhttp_simd-wasm.js' {
  const bytes: Buffer;
  export default bytes;
}
