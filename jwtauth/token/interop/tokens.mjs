// Prints a token for each algorithm, as the users of jose make them. Reads
// {"claims": {...}, "keys": {algorithm: key}} from standard input: PEM, or the secret
// itself.
import { readFileSync } from "node:fs";
import { importPKCS8, SignJWT } from "jose";

const { claims, keys } = JSON.parse(readFileSync(0, "utf8"));
const tokens = {};
for (const [alg, key] of Object.entries(keys)) {
  const signer = alg.startsWith("HS") ? new TextEncoder().encode(key) : await importPKCS8(key, alg);
  tokens[alg] = await new SignJWT(claims).setProtectedHeader({ alg, kid: "k", typ: "JWT" }).sign(signer);
}
process.stdout.write(JSON.stringify(tokens));
