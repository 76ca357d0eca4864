package translate_test

import (
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// talk is a request of these messages.
func talk(messages string) string { return `{"model":"m","messages":[` + messages + `]}` }

// pixel is a picture, as far as anybody here looks at it.
const pixel = "iVBORw0KGgo="

func TestMessages(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"system", `{"role":"system","content":"s"}`, `{"role":"system","content":"s"}`},
		{"developer is what Ollama's templates call system", `{"role":"developer","content":"s"}`, `{"role":"system","content":"s"}`},
		{"user", `{"role":"user","content":"u"}`, `{"role":"user","content":"u"}`},
		{"assistant", `{"role":"assistant","content":"a"}`, `{"role":"assistant","content":"a"}`},
		{"a tool's result", `{"role":"tool","content":"r","tool_call_id":"c","name":"f"}`, `{"role":"tool","content":"r","tool_name":"f","tool_call_id":"c"}`},
		{"a function's result, as it was before tools", `{"role":"function","content":"r","name":"f"}`, `{"role":"tool","content":"r","tool_name":"f"}`},
		{"consecutive messages of one role stay apart",
			`{"role":"user","content":"1"},{"role":"user","content":"2"}`,
			`{"role":"user","content":"1"},{"role":"user","content":"2"}`},
		{"null for content", `{"role":"assistant","content":null}`, `{"role":"assistant","content":""}`},
		{"no content", `{"role":"user"}`, `{"role":"user","content":""}`},
		{"no parts", `{"role":"user","content":[]}`, `{"role":"user","content":""}`},
		{"parts make one message, each on its own line",
			`{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]}`,
			`{"role":"user","content":"1\n2"}`},
		{"parts of the Responses API", `{"role":"user","content":[{"type":"input_text","text":"1"},{"type":"output_text","text":"2"}]}`,
			`{"role":"user","content":"1\n2"}`},
		{"a refusal is text", `{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}`, `{"role":"assistant","content":"no"}`},
		{"a tool's result in parts keeps its name and id",
			`{"role":"tool","content":[{"type":"text","text":"r"}],"tool_call_id":"c","name":"f"}`,
			`{"role":"tool","content":"r","tool_name":"f","tool_call_id":"c"}`},
		{"an image lies beside the text, without the URL's head",
			`{"role":"user","content":[{"type":"text","text":"what?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,` + pixel + `","detail":"low"}}]}`,
			`{"role":"user","content":"what?","images":["` + pixel + `"]}`},
		{"several images keep their order, whatever lies between",
			`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,AAAA"}},{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/webp;base64,BBBB"}}]}`,
			`{"role":"user","content":"x","images":["AAAA","BBBB"]}`},
		{"an image as a bare URL", `{"role":"user","content":[{"type":"image_url","image_url":"data:image/jpg;base64,AAAA"}]}`,
			`{"role":"user","content":"","images":["AAAA"]}`},
		{"the head of a data URL in capitals", `{"role":"user","content":[{"type":"image_url","image_url":{"url":"Data:IMAGE/PNG;Base64,AAAA"}}]}`,
			`{"role":"user","content":"","images":["AAAA"]}`},
		{"reasoning under its newer name", `{"role":"assistant","content":"a","reasoning":"r"}`, `{"role":"assistant","content":"a","thinking":"r"}`},
		{"reasoning under its older name", `{"role":"assistant","content":"a","reasoning_content":"r"}`, `{"role":"assistant","content":"a","thinking":"r"}`},
		{"reasoning under both names is there once", `{"role":"assistant","content":"a","reasoning":"r","reasoning_content":"r"}`, `{"role":"assistant","content":"a","thinking":"r"}`},
		{"reasoning of a user is none", `{"role":"user","content":"u","reasoning":"r"}`, `{"role":"user","content":"u"}`},
		{"text that looks like JSON stays text", `{"role":"user","content":"{\"role\":\"system\"}"}`, `{"role":"user","content":"{\"role\":\"system\"}"}`},
		{"text goes on as it is written", `{"role":"user","content":"\u0041\/\u0000\u2028\ud83d\udc4b 四书"}`, `{"role":"user","content":"\u0041\/\u0000\u2028\ud83d\udc4b 四书"}`},
		{"joined text goes on as it is written",
			`{"role":"user","content":[{"type":"text","text":"\u0041"},{"type":"text"},{"type":"text","text":"\""}]}`,
			`{"role":"user","content":"\u0041\n\n\""}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := native(t, talk(test.in), translate.Settings{})
			if want := `{"model":"m","messages":[` + test.want + `],"stream":true}`; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestToolCallsOfEarlierAnswers(t *testing.T) {
	call := func(arguments string) string {
		return `{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":` + arguments + `}}]}`
	}
	for _, test := range []struct{ name, in, want string }{
		{"arguments become an object, their keys in order", call(`"{\"z\":1,\"a\":{\"y\":2,\"b\":3}}"`), `{"z":1,"a":{"y":2,"b":3}}`},
		{"numbers keep all their digits", call(`"{\"n\":12345678901234567890.10}"`), `{"n":12345678901234567890.10}`},
		{"no arguments", call(`""`), `{}`},
		{"white space for arguments", call(`" \n"`), `{}`},
		{"null for arguments", call(`null`), `{}`},
		{"an empty object", call(`" {} "`), `{}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := native(t, talk(test.in), translate.Settings{})
			if want := `"arguments":` + test.want + `}}]}`; !strings.Contains(got, want) {
				t.Errorf("got %s\nwhich lacks %s", got, want)
			}
			if !strings.Contains(got, `"id":"call_1"`) || !strings.Contains(got, `"name":"f"`) {
				t.Errorf("got %s without the call's id or name", got)
			}
		})
	}
	t.Run("several calls are numbered", func(t *testing.T) {
		got := native(t, talk(`{"role":"assistant","tool_calls":[{"function":{"name":"f"}},{"function":{"name":"g"}}]}`), translate.Settings{})
		for _, want := range []string{`{"index":0,"name":"f"`, `{"index":1,"name":"g"`} {
			if !strings.Contains(got, want) {
				t.Errorf("got %s\nwhich lacks %s", got, want)
			}
		}
	})
}

func TestToolResultsAreNamed(t *testing.T) {
	const calls = `{"role":"assistant","tool_calls":[{"id":"call_1","function":{"name":"f"}},{"id":"call_2","function":{"name":"g"}}]},`
	for _, test := range []struct {
		name, in string
		want     []string // tool_name of the results
	}{
		{"by their own name", calls + `{"role":"tool","tool_call_id":"call_1","name":"own"}`, []string{"own"}},
		{"by their id, in any order", calls + `{"role":"tool","tool_call_id":"call_2"},{"role":"tool","tool_call_id":"call_1"}`, []string{"g", "f"}},
		{"by their id, of which a client has left the letters and digits", calls + `{"role":"tool","tool_call_id":"call2"},{"role":"tool","tool_call_id":"call1"}`, []string{"g", "f"}},
		{"by their place, where a client has altered the ids", calls + `{"role":"tool","tool_call_id":"x"},{"role":"tool","tool_call_id":"y"}`, []string{"f", "g"}},
		{"by their place, where nothing has an id", strings.NewReplacer(`"id":"call_1",`, ``, `"id":"call_2",`, ``).Replace(calls) + `{"role":"tool"},{"role":"tool"}`, []string{"f", "g"}},
		{"by their place, where a client has left out the ids", calls + `{"role":"tool"},{"role":"tool"}`, []string{"f", "g"}},
		{"not at all, if there are more results than calls", calls + `{"role":"tool"},{"role":"tool"},{"role":"tool"}`, []string{"f", "g", ""}},
		{"not at all, if there was no call", `{"role":"user"},{"role":"tool","tool_call_id":"call_1"}`, []string{""}},
		{"by the nearest answer, if ids repeat from turn to turn",
			`{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"old"}}]},{"role":"tool","tool_call_id":"c"},` +
				`{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"new"}}]},{"role":"tool","tool_call_id":"c"}`,
			[]string{"old", "new"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := translate.DecodeChat([]byte(talk(test.in)))
			if err != nil {
				t.Fatal(err)
			}
			out, err := exchange(req, translate.Settings{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range sent(t, out.Requests[0]).Messages {
				if m.Role == "tool" {
					got = append(got, m.ToolName)
				}
			}
			if strings.Join(got, ",") != strings.Join(test.want, ",") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Some templates look for the call of a result by its id.
func TestToolResultsHaveTheIDsOfTheirCalls(t *testing.T) {
	got := native(t, talk(`{"role":"assistant","tool_calls":[{"id":"call_1","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"call1","content":"r"}`), translate.Settings{})
	if want := `{"role":"tool","content":"r","tool_name":"f","tool_call_id":"call_1"}`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
}

func TestMessageRefusals(t *testing.T) {
	picture := func(url string) string {
		return `{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + url + `"}}]}`
	}
	call := func(arguments string) string {
		return `{"role":"user"},{"role":"assistant","tool_calls":[{"function":{"name":"f"}},{"function":{"name":"g","arguments":` + arguments + `}}]}`
	}
	const argumentsParam = "messages[1].tool_calls[1].function.arguments"
	for _, test := range []struct{ name, in, param, code string }{
		{"no messages, which would make Ollama only load the model", ``, "messages", openai.CodeMissing},
		{"null for a message", `null`, "messages[0].role", openai.CodeInvalidValue},
		{"no role", `{"content":"CANARY"}`, "messages[0].role", openai.CodeInvalidValue},
		{"a role nobody knows", `{"role":"user"},{"role":"CANARY"}`, "messages[1].role", openai.CodeInvalidValue},
		{"a role in capitals", `{"role":"USER"}`, "messages[0].role", openai.CodeInvalidValue},
		{"a part nobody knows", `{"role":"user","content":[{"type":"text"},{"type":"CANARY"}]}`, "messages[0].content[1].type", openai.CodeInvalidValue},
		{"null for a part", `{"role":"user","content":[null]}`, "messages[0].content[0].type", openai.CodeInvalidValue},
		{"sound of no kind that Ollama knows", `{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"CANARY","format":"ogg"}}]}`, "messages[0].content[0].input_audio.format", openai.CodeInvalidValue},
		{"sound that is not base64", `{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"CANARY!","format":"wav"}}]}`, "messages[0].content[0].input_audio.data", openai.CodeInvalidValue},
		{"a part of a kind nobody knows", `{"role":"user","content":[{"type":"CANARY"}]}`, "messages[0].content[0].type", openai.CodeInvalidValue},
		{"an image elsewhere, which nobody fetches", picture("https://CANARY.example/x.png"), "messages", openai.CodeInvalidValue},
		{"an image in the gateway's own network", picture("http://169.254.169.254/CANARY,x"), "messages", openai.CodeInvalidValue},
		{"an image in a file", picture("file:///CANARY"), "messages", openai.CodeInvalidValue},
		{"an image without a URL", picture(""), "messages", openai.CodeInvalidValue},
		{"an image that is none", picture("data:text/html;base64,CANARY=="), "messages", openai.CodeInvalidValue},
		{"an image with a script in it", picture("data:image/svg+xml;base64,CANARY=="), "messages", openai.CodeInvalidValue},
		{"an image not in base64", picture("data:image/png,CANARY"), "messages", openai.CodeInvalidValue},
		{"bad base64", picture("data:image/png;base64,CANARY!"), "messages", openai.CodeInvalidValue},
		{"base64 of the wrong length", picture("data:image/png;base64,CANARY="), "messages", openai.CodeInvalidValue},
		{"a call without a name", `{"role":"assistant","tool_calls":[{"function":{"arguments":"CANARY"}}]}`, "messages[0].tool_calls[0].function.name", openai.CodeMissing},
		{"arguments that are no JSON", call(`"CANARY"`), argumentsParam, openai.CodeInvalidValue},
		{"arguments cut short", call(`"{\"CANARY\":"`), argumentsParam, openai.CodeInvalidValue},
		{"arguments in an array", call(`"[\"CANARY\"]"`), argumentsParam, openai.CodeInvalidValue},
		{"arguments in a string", call(`"\"CANARY\""`), argumentsParam, openai.CodeInvalidValue},
		{"two objects for arguments", call(`"{}{\"CANARY\":1}"`), argumentsParam, openai.CodeInvalidValue},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := refusal(t, talk(test.in))
			if e.Param != test.param || e.Code != test.code {
				t.Errorf("param %q, code %q; want %q, %q", e.Param, e.Code, test.param, test.code)
			}
		})
	}
}

func TestMergeSystem(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"system text goes before the first user message's",
			`{"role":"system","content":"s"},{"role":"user","content":"1"},{"role":"user","content":"2"}`,
			`{"role":"user","content":"s\n\n1"},{"role":"user","content":"2"}`},
		{"developer text is system text",
			`{"role":"developer","content":"s"},{"role":"user","content":"1"}`,
			`{"role":"user","content":"s\n\n1"}`},
		{"several system messages, wherever they stand",
			`{"role":"system","content":"s"},{"role":"user","content":"1"},{"role":"assistant","content":"a"},{"role":"system","content":"t"},{"role":"user","content":"2"}`,
			`{"role":"user","content":"s\n\nt\n\n1"},{"role":"assistant","content":"a"},{"role":"user","content":"2"}`},
		{"an answer before the first user message stays where it is",
			`{"role":"system","content":"s"},{"role":"assistant","content":"a"},{"role":"user","content":"1"}`,
			`{"role":"assistant","content":"a"},{"role":"user","content":"s\n\n1"}`},
		{"images of the user message stay",
			`{"role":"system","content":"s"},{"role":"user","content":[{"type":"image_url","image_url":"data:image/png;base64,AAAA"}]}`,
			`{"role":"user","content":"s\n\n","images":["AAAA"]}`},
		{"without a user message the text becomes one",
			`{"role":"system","content":"s"},{"role":"assistant","content":"a"}`,
			`{"role":"user","content":"s"},{"role":"assistant","content":"a"}`},
		{"system text alone becomes a user message", `{"role":"system","content":"s"}`, `{"role":"user","content":"s"}`},
		{"without system text nothing changes", `{"role":"user","content":"1"}`, `{"role":"user","content":"1"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := native(t, talk(test.in), translate.Settings{MergeSystem: true})
			if want := `{"model":"m","messages":[` + test.want + `],"stream":true}`; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}
