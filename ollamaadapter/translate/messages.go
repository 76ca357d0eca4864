package translate

import (
	"cmp"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// roles maps OpenAI's roles to Ollama's. Ollama takes any role, but its templates
// drop messages of roles that they do not know, developer among them.
var roles = map[string]string{
	"system":    "system",
	"developer": "system",
	"user":      "user",
	"assistant": "assistant",
	"tool":      "tool",
	"function":  "tool",
}

// message is an ollama.Message as it is sent: what the translation does not change
// goes on as the client wrote it.
type message struct {
	role       string
	content    openai.Text
	thinking   openai.Text
	images     []string
	toolCalls  jsontext.Value // of ollama.ToolCall
	toolName   string
	toolCallID string
}

func messages(in []openai.Message) ([]message, error) {
	if len(in) == 0 {
		// Ollama would load the model and answer nothing
		return nil, missing("messages")
	}
	out := make([]message, len(in))
	for i := range in {
		if err := out[i].translate(in, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// translate makes m of one message of a conversation.
func (m *message) translate(conversation []openai.Message, i int) error {
	in := &conversation[i]
	role, known := roles[in.Role]
	if !known {
		return invalid(index("messages", i)+".role", "must be system, developer, user, assistant or tool")
	}
	m.role = role
	if in.FunctionCall != nil {
		return unsupported(index("messages", i)+".function_call", "use tool_calls instead")
	}
	var err error
	if m.content, m.images, err = content(&in.Content, i); err != nil {
		return err
	}
	switch role {
	case "assistant":
		m.thinking = in.ReasoningContent
		if m.thinking.Empty() {
			m.thinking = in.Reasoning
		}
		m.toolCalls, err = toolCalls(in.ToolCalls, i)
	case "tool":
		m.toolCallID, m.toolName = in.ToolCallID, in.Name
		if call, found := callOf(conversation, i); found { // the id as the model has seen it
			m.toolCallID, m.toolName = cmp.Or(call.ID, m.toolCallID), cmp.Or(m.toolName, call.Function.Name)
		}
	}
	return err
}

// content keeps the message i in one piece: its texts joined, its images beside them.
func content(c *openai.Content, i int) (text openai.Text, images []string, err error) {
	if c.Parts == nil {
		return c.Text, nil, nil
	}
	var texts []openai.Text
	for j := range c.Parts {
		part := &c.Parts[j]
		switch part.Type {
		case "text", "input_text", "output_text":
			texts = append(texts, part.Text)
		case "refusal":
			texts = append(texts, part.Refusal)
		case "image_url":
			image, err := image(part.ImageURL.URL)
			if err != nil {
				return nil, nil, err
			}
			images = append(images, image)
		case "input_audio":
			// Ollama takes audio among the images and tells them apart by content (0.20.0)
			audio, err := audio(part.Audio.Data, part.Audio.Format, partOf(i, j))
			if err != nil {
				return nil, nil, err
			}
			images = append(images, audio)
		default:
			return nil, nil, invalid(partOf(i, j)+".type", "must be text, image_url, input_audio or refusal")
		}
	}
	return openai.Join(texts, "\n"), images, nil
}

// partOf names the part j of the message i.
func partOf(i, j int) string { return index(index("messages", i)+".content", j) }

// image takes the base64 text out of a data URL. No URL is ever fetched: the
// gateway stands where it can reach what the client must not (SSRF).
func image(url string) (string, error) {
	prefix, data, found := strings.Cut(url, ",")
	switch strings.ToLower(prefix) {
	case "data:image/png;base64", "data:image/jpeg;base64", "data:image/jpg;base64", "data:image/webp;base64", "data:image/gif;base64":
	default:
		found = false
	}
	if !found {
		return "", invalid("messages", "images must be data URLs of png, jpeg, webp or gif in base64; other URLs are not fetched")
	}
	if !isBase64(data) {
		return "", invalid("messages", "the image is not valid base64")
	}
	return data, nil
}

// audio checks sound of a kind that Ollama knows.
func audio(data, format, at string) (string, error) {
	if format != "wav" && format != "mp3" {
		return "", invalid(at+".input_audio.format", "must be wav or mp3")
	}
	if !isBase64(data) || data == "" {
		return "", invalid(at+".input_audio.data", "is not valid base64")
	}
	return data, nil
}

// toolCalls turns the calls of an earlier answer back into Ollama's form. The
// order of the arguments' keys stays: models see it.
func toolCalls(in []openai.ToolCall, message int) (jsontext.Value, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := []byte{'['}
	for i, call := range in {
		if call.Function.Name == "" {
			return nil, missing(callAt(message, i) + ".name")
		}
		arguments := jsontext.Value(call.Function.Arguments)
		if strings.TrimSpace(call.Function.Arguments) == "" {
			arguments = jsontext.Value("{}")
		}
		if !arguments.IsValid() || arguments.Kind() != '{' || arguments.Compact() != nil {
			return nil, invalid(callAt(message, i)+".arguments", "must be a JSON object within a string")
		}
		out = appendCall(appendComma(out, i), i, &call, arguments)
	}
	return append(out, ']'), nil
}

// callAt names the function of the call i of a message.
func callAt(message, i int) string {
	return index(index("messages", message)+".tool_calls", i) + ".function"
}

// callOf finds the call that the result in[i] is of: the one with its id in the
// nearest answer before, or else the one at its place among the results. Some clients
// alter ids; OpenClaw leaves out the underscore.
func callOf(in []openai.Message, i int) (call openai.ToolCall, found bool) {
	id, place := bareID(in[i].ToolCallID), 0
	for j := i - 1; j >= 0; j-- {
		if calls := in[j].ToolCalls; len(calls) > 0 {
			for _, call := range calls {
				if id != "" && id == bareID(call.ID) {
					return call, true
				}
			}
			if place < len(calls) {
				return calls[place], true
			}
			return openai.ToolCall{}, false
		}
		if roles[in[j].Role] == "tool" {
			place++
		}
	}
	return openai.ToolCall{}, false
}

// bareID is what clients leave of an id: letters and digits.
func bareID(id string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, id)
}

// mergeSystem folds all system text into the first user message, for templates
// that know no system role. Without a user message the text becomes one.
func mergeSystem(in []message) []message {
	var system []openai.Text
	out := make([]message, 0, len(in))
	for _, m := range in {
		if m.role == "system" {
			system = append(system, m.content)
			continue
		}
		out = append(out, m)
	}
	if len(system) == 0 {
		return in
	}
	for i := range out {
		if out[i].role == "user" {
			out[i].content = openai.Join(append(system, out[i].content), "\n\n")
			return out
		}
	}
	return append([]message{{role: "user", content: openai.Join(system, "\n\n")}}, out...)
}
