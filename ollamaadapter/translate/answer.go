package translate

import (
	"crypto/rand"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Identity is what all parts of one answer have in common.
type Identity struct {
	ID      string // chatcmpl-…
	Created int64  // seconds since 1970
	Model   string // as the client asked for it
}

// NewID returns an id for an answer. Ollama's own /v1 draws from 999 of them.
func NewID() string { return "chatcmpl-" + rand.Text() }

// Reasons of finish_reason.
const (
	finishStop      = "stop"
	finishLength    = "length"
	finishToolCalls = "tool_calls"
)

// finishReason maps Ollama's done_reason. What OpenAI does not know (load, unload,
// nothing at all) is a stop: SDKs with strict types refuse anything else.
func finishReason(doneReason string, calledTools bool) string {
	switch {
	case doneReason == finishLength:
		return finishLength
	case calledTools:
		return finishToolCalls
	default:
		return finishStop
	}
}

// Incomplete answers.
var (
	// ErrUpstream is an error that Ollama reported within its answer.
	ErrUpstream = errors.New("the model server reported an error")
	// ErrCutShort is an answer that ended before Ollama said it was done.
	ErrCutShort = errors.New("the model server's answer was cut short")
	// ErrGarbage is an answer that is not Ollama's.
	ErrGarbage = errors.New("the model server's answer cannot be read")
)

// Summary is what an answer came to, for the audit record.
type Summary struct {
	Model        string // the upstream's name of it
	FinishReason string // empty if the answer did not finish
	// PromptTokens and CompletionTokens are Ollama's counts if Counted; otherwise
	// CompletionTokens counts the lines that had content, which is one token each
	// but for those that Ollama holds back to look for tags and whole runes.
	PromptTokens, CompletionTokens int
	Counted                        bool
}

// Completion turns the body of Ollama's complete answer into OpenAI's.
func Completion(body []byte, id Identity) (*openai.Completion, Summary, error) {
	resp, err := decodeResponse(body)
	if err != nil {
		return nil, Summary{}, err
	}
	if !resp.Done {
		// Ollama answers 200 and done:false when it gave up on a model that
		// repeats itself (llm/server.go, v0.17.4)
		return nil, Summary{Model: resp.Model}, ErrCutShort
	}
	calls := answeredCalls(resp.Message.ToolCalls, 0, false)
	message := openai.AnswerMessage{
		Role:             "assistant",
		Reasoning:        resp.Message.Thinking,
		ReasoningContent: resp.Message.Thinking,
		ToolCalls:        calls,
	}
	if resp.Message.Content != "" || len(calls) == 0 {
		message.Content = &resp.Message.Content
	}
	summary := finalSummary(resp, len(calls) > 0)
	return &openai.Completion{
		ID:      id.ID,
		Object:  "chat.completion",
		Created: id.Created,
		Model:   id.Model,
		Choices: []openai.Choice{{Message: message, FinishReason: summary.FinishReason}},
		Usage:   usage(summary),
	}, summary, nil
}

// decodeResponse reads one answer, or one line of one. It takes what Ollama may
// send: names and characters that a stricter reader would refuse.
func decodeResponse(data []byte) (*ollama.ChatResponse, error) {
	resp := new(ollama.ChatResponse)
	if err := json.Unmarshal(data, resp, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, ErrGarbage
	}
	if resp.Error != "" {
		return nil, ErrUpstream
	}
	return resp, nil
}

func finalSummary(resp *ollama.ChatResponse, calledTools bool) Summary {
	return Summary{
		Model:            resp.Model,
		FinishReason:     finishReason(resp.DoneReason, calledTools),
		PromptTokens:     resp.PromptEvalCount,
		CompletionTokens: resp.EvalCount,
		Counted:          true,
	}
}

func usage(s Summary) *openai.Usage {
	return &openai.Usage{
		PromptTokens:     s.PromptTokens,
		CompletionTokens: s.CompletionTokens,
		TotalTokens:      s.PromptTokens + s.CompletionTokens,
	}
}

// answeredCalls turns tool calls into OpenAI's form, numbered from first on:
// several of Ollama's parsers number every call 0 and leave out the ids.
func answeredCalls(in []ollama.ToolCall, first int, indexed bool) []openai.AnswerToolCall {
	var out []openai.AnswerToolCall
	for i, call := range in {
		arguments := string(call.Function.Arguments)
		if arguments == "" || arguments == "null" {
			arguments = "{}"
		}
		id := call.ID
		if id == "" {
			id = "call_" + rand.Text()
		}
		answered := openai.AnswerToolCall{
			ID: id, Type: "function",
			Function: openai.FunctionCall{Name: call.Function.Name, Arguments: arguments},
		}
		if indexed {
			index := first + i
			answered.Index = &index
		}
		out = append(out, answered)
	}
	return out
}

// Models turns the body of GET /api/tags into OpenAI's list.
func Models(body []byte) (*openai.ModelList, error) {
	var tags ollama.Tags
	if err := json.Unmarshal(body, &tags, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, ErrGarbage
	}
	list := &openai.ModelList{Object: "list", Data: []openai.Model{}}
	for _, tag := range tags.Models {
		list.Data = append(list.Data, openai.Model{
			ID: tag.Name, Object: "model", Created: tag.ModifiedAt.Unix(), OwnedBy: owner(tag.Name),
		})
	}
	return list, nil
}

// owner is the namespace of a model's name, `library` if it has none.
func owner(name string) string {
	if namespace, _, found := strings.Cut(name, "/"); found {
		return namespace
	}
	return "library"
}
