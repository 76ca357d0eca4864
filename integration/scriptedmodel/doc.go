// Package scriptedmodel makes tiny language models that say exactly what a
// test scripts, so that integration tests can run against a real Ollama
// server without downloading a model and without guessing what it will say.
//
// Such a model is a GGUF file of llama architecture with one block whose
// attention and feed-forward weights are all zero. What remains is a table:
// the token embedding tells which token came last, the output matrix tells
// which token follows it. The model is therefore a Markov chain over single
// tokens, and a script is a path through that chain. Everything around the
// model is real: Ollama's loader, tokenizer, chat template, sampler, grammar,
// and its parsers for thinking and tool calls.
//
// A file takes about 2 MB, loads in well under a second and needs no GPU.
// The models were tried with Ollama v0.17.4.
package scriptedmodel
