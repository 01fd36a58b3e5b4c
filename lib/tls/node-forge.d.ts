// The one file of node-forge that is used, whose types are those of a part of the package.

declare module 'node-forge/lib/asn1.js' {
  import type forge from 'node-forge';

  const asn1: typeof forge.asn1;
  export default asn1;
}
