package translate

import (
	"cmp"
	"crypto/rand"
	"errors"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// AnswerForm is what a request says of its answer.
type AnswerForm struct {
	Choices      int             // how many answers, each from a request of its own
	IncludeUsage bool            // of a stream: send the usage at its end
	OneCall      bool            // parallel_tool_calls is false: only the first call counts
	ForcedCall   bool            // the answer is a tool call in the form that forceCall asked for
	Logprobs     bool            // send the probabilities of tokens
	MaxTokens    int             // of each choice; 0: as many as Ollama gives
	Reasoning    ReasoningFields // where reasoning goes
	// Text is of /v1/completions: text and nothing else, after Echo of the prompt,
	// one for each choice, if the client wants that.
	Text bool
	Echo []string
	// Engine says that the upstream speaks OpenAI's dialect itself.
	Engine bool
}

// ReasoningFields says in which fields an answer shows its reasoning: clients
// disagree on the name.
type ReasoningFields int

// The fields for reasoning.
const (
	ReasoningBoth ReasoningFields = iota
	ReasoningContentOnly
	ReasoningOnly
	ReasoningHidden
)

// split is the reasoning for each of the two fields.
func split[Text ~string | ~[]byte](f ReasoningFields, text Text) (reasoning, reasoningContent Text) {
	var none Text
	switch f {
	case ReasoningContentOnly:
		return none, text
	case ReasoningOnly:
		return text, none
	case ReasoningHidden:
		return none, none
	default:
		return text, text
	}
}

// Identity is what all parts of one answer have in common.
type Identity struct {
	ID          string // chatcmpl-…
	Created     int64  // seconds since 1970
	Model       string // as the client asked for it
	Fingerprint string // of model and server; may be empty
}

// learn takes the fingerprint that an engine tells, unless there is one already.
func (id *Identity) learn(fingerprint string) (learnt bool) {
	if id.Fingerprint != "" || fingerprint == "" {
		return false
	}
	id.Fingerprint = fingerprint
	return true
}

// open appends the beginning of an answer, or of an event of one, up to where its choices
// stand: an openai.Completion, openai.Chunk or openai.TextCompletion.
func (id *Identity) open(out []byte, object string) []byte {
	out = appendText(append(out, `{"id":`...), id.ID)
	out = append(append(append(out, `,"object":"`...), object...), `","created":`...)
	out = strconv.AppendInt(out, id.Created, 10)
	out = append(append(out, `,"model":`...), eventJSON(id.Model)...) // which is the client's text
	if id.Fingerprint != "" {
		out = appendText(append(out, `,"system_fingerprint":`...), id.Fingerprint)
	}
	return append(out, `,"choices":[`...)
}

// NewID returns an id for an answer. Ollama's own /v1 draws from 999 of them.
func NewID(prefix string) string { return prefix + rand.Text() }

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
	// ErrStalled is an answer that does not come, or does not go on.
	ErrStalled = errors.New("the model server took too long")
	// ErrStopping is an answer that the end of this server cuts off.
	ErrStopping = errors.New("this server is shutting down")
)

// Summary is what an answer came to, for usage and audit record.
type Summary struct {
	Model         string   // the upstream's name of it
	FinishReasons []string // of the choices that finished
	// PromptTokens and CompletionTokens are Ollama's counts of all choices if
	// Counted; otherwise CompletionTokens counts the lines that had content, which
	// is one token each but for those that Ollama holds back to look for tags and
	// whole runes.
	PromptTokens, CompletionTokens, CachedTokens int
	Counted                                      bool
	// How long Ollama took to load the model, to read the prompt and to write, of all
	// choices that finished.
	Loading, Reading, Writing ollama.Nanoseconds
}

// finish adds the final line of a choice. estimated are the tokens that were
// counted for it so far.
func (s *Summary) finish(resp *ollama.ChatResponse, reason string, estimated int) {
	s.Model = cmp.Or(resp.Model, s.Model)
	s.FinishReasons = append(s.FinishReasons, reason)
	s.PromptTokens += max(resp.PromptEvalCount, 0)
	s.CachedTokens += resp.PromptEvalCachedCount
	s.Loading += resp.LoadDuration
	s.Reading += resp.PromptEvalDuration
	s.Writing += resp.EvalDuration
	if resp.EvalCount <= 0 && estimated > 0 {
		return // no count, or none that can be: the estimate stays
	}
	s.CompletionTokens += max(resp.EvalCount, 0) - estimated
	s.Counted = true
}

// appendUsage appends it as an openai.Usage.
func (s *Summary) appendUsage(out []byte) []byte {
	out = strconv.AppendInt(append(out, `{"prompt_tokens":`...), int64(s.PromptTokens), 10)
	out = strconv.AppendInt(append(out, `,"completion_tokens":`...), int64(s.CompletionTokens), 10)
	out = strconv.AppendInt(append(out, `,"total_tokens":`...), int64(s.PromptTokens+s.CompletionTokens), 10)
	if s.CachedTokens > 0 {
		out = strconv.AppendInt(append(out, `,"prompt_tokens_details":{"cached_tokens":`...), int64(s.CachedTokens), 10)
		out = append(out, '}')
	}
	return append(out, '}')
}

// settleCalls makes of an answer's last part the tool calls that the client is
// to see: the call that was forced, or only the first.
func (f AnswerForm) settleCalls(resp *ollama.ChatResponse) error {
	if f.ForcedCall {
		call, ok := forcedCall(resp.Message.Content)
		switch {
		case ok:
			resp.Message.ToolCalls = []ollama.ToolCall{call}
		case resp.DoneReason != finishLength: // else the call was cut off
			return ErrGarbage
		}
		resp.Message.Content = ""
	}
	if f.OneCall && len(resp.Message.ToolCalls) > 1 {
		resp.Message.ToolCalls = resp.Message.ToolCalls[:1]
	}
	return nil
}

// tolerant reads what Ollama may send: names and characters that a stricter
// reader would refuse.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// decodeResponse reads one answer, or one line of one.
func decodeResponse(data []byte) (*ollama.ChatResponse, error) {
	resp := new(ollama.ChatResponse)
	if err := json.Unmarshal(data, resp, tolerant); err != nil {
		return nil, ErrGarbage
	}
	if resp.Error != "" {
		return nil, reportedIn(data)
	}
	if resp.Response != "" || resp.Thinking != "" {
		resp.Message.Content, resp.Message.Thinking = resp.Response, resp.Thinking
	}
	return resp, nil
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

// logprobs turns probabilities into OpenAI's form, in which lists are never missing.
func logprobs(in []ollama.Logprob) *openai.Logprobs {
	out := &openai.Logprobs{Content: []openai.TokenLogprob{}}
	for _, token := range in {
		t := openai.TokenLogprob{
			Token: token.Token, Logprob: token.Logprob, Bytes: token.Bytes, TopLogprobs: []openai.TopLogprob{},
		}
		for _, top := range token.TopLogprobs {
			t.TopLogprobs = append(t.TopLogprobs, openai.TopLogprob{Token: top.Token, Logprob: top.Logprob, Bytes: top.Bytes})
		}
		out.Content = append(out.Content, t)
	}
	return out
}
