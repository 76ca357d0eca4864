// The SDKs of the npm world against a gateway, as their users write it. The models
// are the scripted ones of a real Ollama; what they say comes in EXPECT.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { generateText, isStepCount, streamText, tool } from "ai";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import { client, expect, gateway, langchain, messages, run } from "./gateway.mjs";

const person = z.object({ name: z.string(), age: z.number().int() });
const weather = { type: "function", function: { name: "get_weather", strict: true, parameters: {
  type: "object", additionalProperties: false, required: ["city"], properties: { city: { type: "string" } } } } };
const clock = { type: "function", function: { name: "get_time", strict: true, parameters: {
  type: "object", additionalProperties: false, required: ["timezone"], properties: { timezone: { type: "string" } } } } };
// what the model paralleltools calls at once
const bothCalls = [["get_weather", { city: "Paris" }], ["get_time", { timezone: "Europe/Paris" }]];
const bothPrompt = "weather and time?";

const cases = {
  async "openai: chat"() {
    const answer = await client.chat.completions.create({ model: "hello", messages });
    assert.equal(answer.choices[0].message.content, expect.hello);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.ok(answer.usage.total_tokens > 0);
  },
  async "openai: stream, with the helper that checks every chunk"() {
    const stream = client.chat.completions.stream({ model: "hello", messages, stream_options: { include_usage: true } });
    const answer = await stream.finalChatCompletion();
    assert.equal(answer.choices[0].message.content, expect.hello);
    assert.ok(answer.usage.completion_tokens > 0);
  },
  async "openai: tools, there and back"() {
    const question = { model: "toolcaller", messages: [{ role: "user", content: "weather?" }], tools: [weather] };
    const { message, finish_reason } = (await client.chat.completions.create(question)).choices[0];
    assert.equal(finish_reason, "tool_calls");
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Paris" });
    // OpenClaw drops the underscore of ids
    const call = { ...message.tool_calls[0], id: message.tool_calls[0].id.replace("_", "") };
    question.messages.push({ ...message, content: null, tool_calls: [call] }, { role: "tool", tool_call_id: call.id, content: "sunny" });
    assert.equal((await client.chat.completions.create(question)).choices[0].message.content, expect.tool);
  },
  async "openai: a call that is required, streamed"() {
    const stream = client.chat.completions.stream({ model: "hello", messages, tools: [weather], tool_choice: "required" });
    const { message } = (await stream.finalChatCompletion()).choices[0];
    assert.equal(typeof JSON.parse(message.tool_calls[0].function.arguments).city, "string");
  },
  async "openai: parallel tool calls, streamed, there and back, and one alone"() {
    const question = { model: "paralleltools", messages: [{ role: "user", content: bothPrompt }], tools: [weather, clock] };
    const callsOf = (message) => message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
    const { message } = (await client.chat.completions.stream(question).finalChatCompletion()).choices[0];
    assert.deepEqual(callsOf(message), bothCalls);
    const calls = message.tool_calls.map((call) => ({ ...call, id: call.id.replace("_", "") }));
    const results = calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: "sunny" })).reverse();
    const messages = [...question.messages, { ...message, content: null, tool_calls: calls }, ...results];
    const answer = await client.chat.completions.stream({ ...question, messages }).finalChatCompletion();
    assert.equal(answer.choices[0].message.content, expect.tool);
    const one = await client.chat.completions.stream({ ...question, parallel_tool_calls: false }).finalChatCompletion();
    assert.equal(one.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(callsOf(one.choices[0].message), bothCalls.slice(0, 1));
  },
  async "openai: structured output, parsed"() {
    const answer = await client.chat.completions.parse({ model: "hello", messages, response_format: zodResponseFormat(person, "person") });
    assert.equal(typeof answer.choices[0].message.parsed.age, "number");
  },
  async "openai: reasoning"() {
    const answer = await client.chat.completions.create({ model: "thinker", messages, reasoning_effort: "low" });
    assert.equal(answer.choices[0].message.reasoning_content, expect.thinking);
    assert.equal(answer.choices[0].message.content, expect.thinker);
  },
  async "openai: embeddings, which come as base64 and are floats here"() {
    const { data } = await client.embeddings.create({ model: "hello", input: ["one", "two"] });
    assert.equal(data.length, 2);
    assert.equal(typeof data[1].embedding[0], "number");
  },
  async "openai: models"() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.ok(ids.includes("hello:latest"), String(ids));
    assert.equal((await client.models.retrieve("hello")).id, "hello");
  },
  async "openai: errors are exceptions of their own types"() {
    await assert.rejects(client.chat.completions.create({ model: "nothing", messages }),
      (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found" && e.param === "model");
    await assert.rejects(client.chat.completions.create({ model: "hello", messages, logit_bias: { 1: 1 } }),
      (e) => e instanceof OpenAI.BadRequestError && e.param === "logit_bias");
  },
  async "openai: a stream that is aborted ends"() {
    const stream = await client.chat.completions.create({ model: "endless", messages, stream: true });
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 20) stream.controller.abort();
    assert.ok(chunks >= 20 && chunks < 1000, String(chunks));
  },
  async "ai: text, streamed and whole"() {
    const { text, usage } = await generateText({ model: gateway("hello"), prompt: "hi" });
    assert.equal(text, expect.hello);
    assert.ok(usage.inputTokens > 0);
    let streamed = "";
    for await (const piece of streamText({ model: gateway("hello"), prompt: "hi" }).textStream) streamed += piece;
    assert.equal(streamed, expect.hello);
  },
  async "ai: reasoning"() {
    const { reasoningText, text } = await generateText({ model: gateway("thinker"), prompt: "hi" });
    assert.equal(reasoningText, expect.thinking);
    assert.equal(text, expect.thinker);
  },
  async "ai: parallel tool calls, which it runs, streamed and whole, and one alone"() {
    const question = { model: gateway("paralleltools"), prompt: bothPrompt, stopWhen: isStepCount(2), tools: {
      get_weather: tool({ inputSchema: z.object({ city: z.string() }), execute: () => "sunny" }),
      get_time: tool({ inputSchema: z.object({ timezone: z.string() }), execute: () => "noon" }) } };
    const alone = { ...question, providerOptions: { gateway: { parallel_tool_calls: false } } };
    for (const ask of [generateText, streamText]) {
      for (const [params, calls] of [[question, bothCalls], [alone, bothCalls.slice(0, 1)]]) {
        const { steps, text } = await ask(params);
        const [called] = await steps;
        assert.deepEqual(called.toolCalls.map((call) => [call.toolName, call.input]), calls);
        assert.equal(called.finishReason, "tool-calls");
        assert.equal(await text, expect.tool);
      }
    }
  },
  async "langchain: text, streamed and whole"() {
    const chat = new ChatOpenAI({ model: "hello", ...langchain });
    assert.equal((await chat.invoke("hi")).content, expect.hello);
    let streamed = "";
    for await (const piece of await chat.stream("hi")) streamed += piece.content;
    assert.equal(streamed, expect.hello);
  },
  async "langchain: parallel tool calls, streamed, there and back, and one alone"() {
    const model = new ChatOpenAI({ model: "paralleltools", ...langchain });
    const callsOf = (message) => message.tool_calls.map((call) => [call.name, call.args]);
    const chat = model.bindTools([weather, clock]);
    let message;
    for await (const piece of await chat.stream(bothPrompt)) message = message ? message.concat(piece) : piece;
    assert.deepEqual(callsOf(message), bothCalls);
    const results = message.tool_calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: "sunny" })).reverse();
    assert.equal((await chat.invoke([{ role: "user", content: bothPrompt }, message, ...results])).content, expect.tool);
    const one = await model.bindTools([weather, clock], { parallel_tool_calls: false }).invoke(bothPrompt);
    assert.deepEqual(callsOf(one), bothCalls.slice(0, 1));
  },
  async "langchain: structured output"() {
    const chat = new ChatOpenAI({ model: "hello", ...langchain }).withStructuredOutput(person, { method: "jsonSchema" });
    assert.equal(typeof (await chat.invoke("hi")).age, "number");
  },
  async "langchain: embeddings"() {
    const embeddings = new OpenAIEmbeddings({ model: "hello", ...langchain });
    assert.equal(typeof (await embeddings.embedQuery("one"))[0], "number");
  },
};

await run(cases);
