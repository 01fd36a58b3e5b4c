// Stands in for undici's file in the executable. As an import esbuild would copy the file's value property by property, which
// for 54,000 bytes takes 40 ms of every start; what is required is taken as it is.

declare function require(path: string): Buffer;

export default require('../node_modules/undici/lib/llhttp/llhttp_simd-wasm.js');
