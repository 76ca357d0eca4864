// A small server of OpenAI's dialect on a real llama.cpp, for tests: what it says comes
// from the model, what it counts from the tokenizer, and what does not fit into the
// context is refused in the words of llama.cpp's own server.
//
// MODEL is a GGUF file, CONTEXT the length of its context in tokens. The port is the
// first line of the output. The server ends with its standard input.
import { createServer } from "node:http";
import { getLlama } from "node-llama-cpp";

const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: 1 });
const model = await llama.loadModel({ modelPath: process.env.MODEL });
const context = await model.createContext({ contextSize: Number(process.env.CONTEXT), sequences: 1, threads: 1 });

function fail(res, code, type, message, more = {}) {
  res.writeHead(code, { "Content-Type": "application/json" });
  res.end(JSON.stringify({ error: { code, message, type, ...more } }));
}

// One answer at a time, as with one slot of llama.cpp's server.
let turn = Promise.resolve();
function alone(work) {
  const mine = turn.then(work);
  turn = mine.catch(() => {});
  return mine;
}

async function answer(req, res, body) {
  if (body.model !== "hello") return fail(res, 404, "not_found_error", "model not found");
  if (!body.stream) return fail(res, 501, "not_supported_error", "this server is for streams");
  const prompt = body.messages.map(m => `<|im_start|>${m.role}\n${m.content}<|im_end|>\n`).join("") + "<|im_start|>assistant\n";
  const tokens = model.tokenize(prompt, true);
  if (tokens.length >= context.contextSize) {
    return fail(res, 400, "exceed_context_size_error", "the request exceeds the available context size, try increasing it",
      { n_prompt_tokens: tokens.length, n_ctx: context.contextSize });
  }
  let left = false;
  res.on("close", () => { left = !res.writableFinished; });
  res.writeHead(200, { "Content-Type": "text/event-stream" });
  const send = fields => res.write("data: " + JSON.stringify({ id: "chatcmpl-llama", object: "chat.completion.chunk", created: 1, model: "hello", ...fields }) + "\n\n");
  const chunk = (delta, finish_reason = null) => send({ choices: [{ index: 0, delta, finish_reason }] });
  chunk({ role: "assistant", content: null });
  const sequence = context.getSequence();
  let finish = "stop", written = [], told = "";
  try {
    for await (const token of sequence.evaluate(tokens, { temperature: 0 })) {
      if (left) return;
      written.push(token);
      const text = model.detokenize(written);
      if (!text.endsWith("\uFFFD")) { // else a character is not whole yet
        chunk({ content: text.slice(told.length) });
        told = text;
      }
      if (body.max_tokens && written.length >= body.max_tokens) { finish = "length"; break; }
    }
  } finally {
    sequence.dispose();
  }
  chunk({}, finish);
  if (body.stream_options?.include_usage) {
    send({ choices: [], usage: { prompt_tokens: tokens.length, completion_tokens: written.length, total_tokens: tokens.length + written.length } });
  }
  res.end("data: [DONE]\n\n");
}

const server = createServer(async (req, res) => {
  try {
    if (req.method === "GET" && req.url === "/v1/models") {
      res.writeHead(200, { "Content-Type": "application/json" });
      return res.end(JSON.stringify({ object: "list", data: [{ id: "hello", object: "model", meta: { n_ctx: context.contextSize } }] }));
    }
    if (req.method !== "POST" || req.url !== "/v1/chat/completions") return fail(res, 404, "not_found_error", "File Not Found");
    let data = "";
    for await (const piece of req) data += piece;
    await alone(() => answer(req, res, JSON.parse(data)));
  } catch (e) {
    res.headersSent ? res.destroy() : fail(res, 500, "server_error", String(e));
  }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
