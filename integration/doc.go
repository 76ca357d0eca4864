// Package integration tests the gateway as its users meet it: the built binary
// as a process, real TLS, a real Ollama.
//
// The tests build the binary themselves, and get Ollama as package realollama
// says. With -short, or without a C++ compiler to build Ollama, the tests that
// need it are skipped.
package integration
