// node verify.js MODULES TRUSTED_ROOT BUNDLE SAN ISSUER: exits 0 where npm's @sigstore/verify accepts the bundle.
const fs = require('fs');
const { createRequire } = require('module');

const [, , modules, root, file, san, issuer] = process.argv;
const load = createRequire(modules + '/package.json');
const { bundleFromJSON } = load('@sigstore/bundle');
const { toTrustMaterial, toSignedEntity, Verifier } = load('@sigstore/verify');
const { TrustedRoot } = load('@sigstore/protobuf-specs');

const read = (path) => JSON.parse(fs.readFileSync(path));
try {
  const trust = toTrustMaterial(TrustedRoot.fromJSON(read(root)));
  const verifier = new Verifier(trust, { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: 1 });
  const exactly = san.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const signed = verifier.verify(toSignedEntity(bundleFromJSON(read(file))), {
    subjectAlternativeName: '^' + exactly + '$',
    extensions: { issuer },
  });
  console.log(signed.identity.subjectAlternativeName);
} catch (error) {
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
