// The gateway as the SDKs of the npm world reach it: base URL, token, and a client
// certificate for all of them by way of undici's dispatcher.
import { readFileSync } from "node:fs";
import { Agent, setGlobalDispatcher } from "undici";
import OpenAI from "openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

const { BASE_URL, TOKEN, CA, CERT, KEY } = process.env;
setGlobalDispatcher(new Agent({
  connect: {
    ca: readFileSync(CA), cert: readFileSync(CERT), key: readFileSync(KEY),
    // the gateway's name is in no DNS
    lookup: (_host, options, done) => options.all
      ? done(null, [{ address: "127.0.0.1", family: 4 }])
      : done(null, "127.0.0.1", 4),
  },
}));

export const expect = JSON.parse(process.env.EXPECT);
export const messages = [{ role: "user", content: "hi" }];
export const client = new OpenAI({ baseURL: BASE_URL, apiKey: TOKEN, maxRetries: 0 });
export const gateway = createOpenAICompatible({ name: "gateway", baseURL: BASE_URL, apiKey: TOKEN, includeUsage: true });
export const langchain = { apiKey: TOKEN, maxRetries: 0, configuration: { baseURL: BASE_URL } };

// run runs all cases, tells of each, and ends the process.
export async function run(cases) {
  let failed = 0;
  for (const [name, test] of Object.entries(cases)) {
    try {
      await test();
      console.log(`ok   ${name}`);
    } catch (e) {
      failed++;
      console.log(`FAIL ${name}: ${e.stack ?? e}`);
    }
  }
  process.exit(failed ? 1 : 0);
}
