// The SDKs of the npm world against a gateway whose model is slow: heartbeats come
// before its first word and between all others. The models are those of
// heartbeat_test.go; what they say comes in EXPECT.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { generateText, streamText, tool } from "ai";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { client, expect, gateway, langchain, messages, run } from "./gateway.mjs";

const weather = { type: "function", function: { name: "get_weather", parameters: {
  type: "object", required: ["city"], properties: { city: { type: "string" } } } } };
const paris = [["get_weather", { city: "Paris" }]];
const upstreamError = (e) => e instanceof OpenAI.APIError && e.code === "upstream_error";
// a body that ends in the midst is an error of the connection, not of what it said
const brokenOff = (e) => !(e instanceof SyntaxError) && /terminated|aborted|closed|Connection error/i.test(`${e} ${e.cause} ${e.lastError}`);

const cases = {
  async "openai: a stream, with heartbeats before each word"() {
    let text = "";
    const beats = [0];
    for await (const { choices: [choice] } of await client.chat.completions.create({ model: "hello", messages, stream: true })) {
      if (choice.delta.content) {
        text += choice.delta.content;
        beats.push(0);
      } else if (!choice.delta.role && !choice.finish_reason) beats[beats.length - 1]++;
    }
    assert.equal(text, expect.hello);
    assert.ok(beats.length === 3 && beats.every((n) => n >= 3), String(beats));
  },
  async "openai: a stream, with the helper that checks every chunk"() {
    const stream = client.chat.completions.stream({ model: "hello", messages, stream_options: { include_usage: true } });
    const { choices: [choice], usage } = await stream.finalChatCompletion();
    assert.equal(choice.message.content, expect.hello);
    assert.equal(choice.finish_reason, "stop");
    assert.equal(usage.completion_tokens, 2);
  },
  async "openai: a tool call of a stream, with the helper"() {
    const stream = client.chat.completions.stream({ model: "thinker", messages, tools: [weather] });
    const { message } = (await stream.finalChatCompletion()).choices[0];
    assert.equal(message.content, expect.thinker);
    assert.deepEqual(message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]), paris);
  },
  async "openai: a stream that fails after heartbeats is an exception"() {
    let text = "";
    await assert.rejects(async () => {
      for await (const { choices } of await client.chat.completions.create({ model: "failing", messages, stream: true })) {
        text += choices[0].delta.content ?? "";
      }
    }, upstreamError);
    assert.equal(text, expect.failing);
    for (const model of ["failing", "silent"]) {
      await assert.rejects(client.chat.completions.stream({ model, messages }).finalChatCompletion(), upstreamError);
    }
  },
  async "openai: a whole answer, behind white space"() {
    const request = client.chat.completions.create({ model: "hello", messages });
    assert.match(await (await request.asResponse()).clone().text(), /^\n{9,}\{/);
    const answer = await client.chat.completions.create({ model: "hello", messages });
    assert.equal(answer.choices[0].message.content, expect.hello);
  },
  async "openai: a whole answer that fails behind white space is an exception"() {
    for (const model of ["failing", "silent"]) {
      await assert.rejects(client.chat.completions.create({ model, messages }), brokenOff);
    }
  },
  async "ai: text, streamed and whole"() {
    let streamed = "";
    for await (const piece of streamText({ model: gateway("hello"), prompt: "hi", maxRetries: 0 }).textStream) streamed += piece;
    assert.equal(streamed, expect.hello);
    assert.equal((await generateText({ model: gateway("hello"), prompt: "hi", maxRetries: 0 })).text, expect.hello);
  },
  async "ai: reasoning and a tool call, streamed and whole"() {
    const question = { model: gateway("thinker"), prompt: "weather?", maxRetries: 0, tools: {
      get_weather: tool({ inputSchema: z.object({ city: z.string() }) }) } };
    for (const ask of [generateText, streamText]) {
      const answer = await ask(question);
      assert.equal(await answer.reasoningText, expect.thinking);
      assert.equal(await answer.text, expect.thinker);
      assert.deepEqual((await answer.toolCalls).map((call) => [call.toolName, call.input]), paris);
    }
  },
  async "ai: what fails after heartbeats is an error, streamed and whole"() {
    for (const model of ["failing", "silent"]) {
      const errors = [];
      const answer = streamText({ model: gateway(model), prompt: "hi", maxRetries: 0, onError: ({ error }) => errors.push(error) });
      await answer.consumeStream();
      assert.equal(errors.length, 1);
      await assert.rejects(generateText({ model: gateway(model), prompt: "hi", maxRetries: 0 }), brokenOff);
    }
  },
  async "langchain: text, streamed and whole"() {
    const chat = new ChatOpenAI({ model: "hello", ...langchain });
    let streamed = "";
    for await (const piece of await chat.stream("hi")) streamed += piece.content;
    assert.equal(streamed, expect.hello);
    assert.equal((await chat.invoke("hi")).content, expect.hello);
  },
  async "langchain: a tool call, streamed and whole"() {
    const chat = new ChatOpenAI({ model: "thinker", ...langchain }).bindTools([weather]);
    let message;
    for await (const piece of await chat.stream("weather?")) message = message ? message.concat(piece) : piece;
    for (const { content, tool_calls } of [message, await chat.invoke("weather?")]) {
      assert.equal(content, expect.thinker);
      assert.deepEqual(tool_calls.map((call) => [call.name, call.args]), paris);
    }
  },
  async "langchain: what fails after heartbeats is an exception, streamed and whole"() {
    for (const model of ["failing", "silent"]) {
      const chat = new ChatOpenAI({ model, ...langchain });
      await assert.rejects(async () => { for await (const _ of await chat.stream("hi")); }, upstreamError);
      await assert.rejects(chat.invoke("hi"), brokenOff);
    }
  },
};

await run(cases);
