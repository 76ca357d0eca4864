// Loaded before a program: the gateway's name, which is in no DNS, is at this host, and
// no name is anywhere else, so that no test of a program leaves the host.
import dns from "node:dns";
import { isIP } from "node:net";
import { syncBuiltinESMExports } from "node:module";

const here = { address: "127.0.0.1", family: 4 };
const { lookup, promises: { lookup: promised } } = dns;
const renamed = ["ai-gw.example.com", "localhost"];

function unknown(host) {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: "ENOTFOUND", errno: -3008, syscall: "getaddrinfo", hostname: host });
}

dns.lookup = (host, options, done) => {
  if (isIP(host)) return lookup(host, options, done);
  done ??= options;
  process.nextTick(() => {
    if (!renamed.includes(host)) done(unknown(host));
    else if (options?.all) done(null, [here]);
    else done(null, here.address, here.family);
  });
};
dns.promises.lookup = async (host, options) => {
  if (isIP(host)) return promised(host, options);
  if (!renamed.includes(host)) throw unknown(host);
  return options?.all ? [here] : here;
};
syncBuiltinESMExports();
