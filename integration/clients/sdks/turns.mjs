// Turns of a chat with an SDK as its users have it, with its own retries: COUNT at once.
// Prints what became of each, as JSON: its text, or the status of its error.
import { generateText } from "ai";
import { ChatOpenAI } from "@langchain/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import OpenAI from "openai";
import { messages } from "./gateway.mjs";

const { BASE_URL: baseURL, TOKEN: apiKey, SDK, COUNT, HURRY } = process.env;
if (HURRY) { // the pauses between retries are shorter, or LangChain takes 91 s
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (run, delay, ...args) => setTimeout(run, delay > 200 ? delay / HURRY : delay, ...args);
}

const turns = {
  async openai() {
    const client = new OpenAI({ baseURL, apiKey });
    let text = "";
    for await (const { choices: [choice] } of await client.chat.completions.create({ model: "hello", messages, stream: true })) {
      text += choice.delta.content ?? "";
    }
    return text;
  },
  async ai() {
    const gateway = createOpenAICompatible({ name: "gateway", baseURL, apiKey });
    return (await generateText({ model: gateway("hello"), messages })).text;
  },
  async langchain() {
    return (await new ChatOpenAI({ model: "hello", apiKey, configuration: { baseURL } }).invoke("hi")).content;
  },
};

const outcomes = Array.from({ length: +COUNT }, () => turns[SDK]().then(
  (text) => ({ text }),
  (e) => ({ status: e.status ?? e.statusCode ?? e.lastError?.statusCode ?? 0, message: `${e}` })));
console.log(JSON.stringify(await Promise.all(outcomes)));
process.exit();
