// Package realollama gives integration tests a real Ollama server.
//
// Find finds an Ollama binary, or builds Ollama once from its Go module; Start
// runs it on a free loopback port with a folder of its own and creates scripted
// models in it. Nothing of the user's own Ollama is touched: neither its port,
// nor its models, nor its keys.
package realollama
