package scriptedmodel

// What the models below say, as Ollama's native API returns it. The texts are
// spelled out here, and not put together from the pieces, so that a test
// compares with something that was written down on purpose.
const (
	// HelloText is the whole answer of Hello.
	HelloText = "你好, hello world 👋 再见!"

	// ThinkerThinking is Thinker's message.thinking. The newline before the
	// closing tag belongs to it: Ollama v0.17.4 trims only what stands right
	// after the tags.
	ThinkerThinking = "The user greets me. I will answer briefly.\n"

	// ThinkerAnswer is Thinker's message.content, with thinking or without.
	ThinkerAnswer = "Hello from the thinker!!"

	// ToolName and the city are what ToolCaller calls.
	ToolName = "get_weather"
	ToolCity = "Paris"

	// SecondToolName and the zone are what ParallelTools calls besides.
	SecondToolName = "get_time"
	SecondToolZone = "Europe/Paris"

	// ToolAnswer is what ToolCaller says once it has seen a tool's result, and
	// ParallelTools once it has seen both.
	ToolAnswer = "It is sunny in Paris today."

	// NoToolAnswer is what ToolCaller says when the request offers no tools.
	NoToolAnswer = "I have no tools to call."

	// AgentFile is the file that Agent makes with a tool, AgentFileText what is in it.
	AgentFile     = "turn.txt"
	AgentFileText = "made by a tool"

	// AgentAnswer is what Agent says once it has seen a tool's result.
	AgentAnswer = "The file turn.txt is made."

	// AgentNoToolAnswer is what Agent says when the request offers none of its tools.
	AgentNoToolAnswer = "A short title"

	// EndlessRound is what Endless says over and over.
	EndlessRound = " tick tock ..."
)

// The markers with which the models' templates choose another script than the
// one after AssistantTurn: for a request with "think": false, for one whose last
// message is a tool's result, for one without tools, and for one with a shell among
// its tools.
const (
	NoThinking = "<|no_thinking|>"
	ToolResult = "<|tool_result|>"
	NoTools    = "<|no_tools|>"
	Shell      = "<|shell|>"
)

// Hello answers with a few words in two languages. The emoji and the last
// Chinese character are each cut in two by a token boundary, so that whoever
// handles the stream meets characters that arrive in halves.
var Hello = Model{
	Name:     "hello",
	Template: chatTemplate,
	Scripts: []Script{{
		After:  AssistantTurn,
		Pieces: []string{"你好", ", ", "hello", " world", " \xf0\x9f", "\x91\x8b", " 再\xe8\xa7", "\x81!"},
	}},
}

// Thinker thinks before it answers. With "think": false it answers at once.
// Both tags of its thinking are cut in two by token boundaries.
var Thinker = Model{
	Name:     "thinker",
	Template: thinkingTemplate,
	Scripts: []Script{
		{
			After: AssistantTurn,
			Pieces: []string{
				"<think", ">\n", "The user", " greets", " me.", " I will", " answer", " briefly.", "\n</th", "ink>\n\n",
				"Hello", " from", " the", " thinker", "!!",
			},
		},
		{
			After:  NoThinking,
			Pieces: []string{"Hello", " from", " the", " thinker", "!!"},
		},
	},
}

// ToolCaller calls ToolName when the request offers tools, and answers in plain
// text once the last message is a tool's result, or when there are no tools.
var ToolCaller = Model{
	Name:     "toolcaller",
	Template: toolTemplate,
	Scripts: []Script{
		{
			After: AssistantTurn,
			Pieces: []string{
				"<tool", "_call>\n", `{"na`, `me": "`, "get_", "weather", `", "arg`, `uments": `,
				`{"city": "`, "Paris", `"}}`, "\n</tool_call>",
			},
		},
		{
			After:  ToolResult,
			Pieces: []string{"It is", " sunny", " in", " Paris", " today."},
		},
		{
			After:  NoTools,
			Pieces: []string{"I have", " no", " tools", " to call."},
		},
	},
}

// ParallelTools calls ToolName and SecondToolName in one answer, and answers in
// plain text once it has the results of all its calls; as long as one is missing,
// or has another call's id or name, it calls both again. The second call is cut
// into other pieces than the first, because what follows a piece is always the same.
var ParallelTools = Model{
	Name:     "paralleltools",
	Template: parallelTemplate,
	Scripts: []Script{
		{
			After: AssistantTurn,
			Pieces: []string{
				"<tool", "_call>\n", `{"na`, `me": "`, "get_", "weather", `", "arg`, `uments": `,
				`{"city": "`, "Paris", `"}}`, "\n</tool_call>",
				"\n<tool_", "call>\n{", `"name"`, `: "get`, "_time", `", "argu`, `ments"`, `: {"time`,
				`zone": "`, "Europe", "/Paris", `"}`, "}\n", "</tool", "_call>",
			},
		},
		{
			After:  ToolResult,
			Pieces: []string{"It is", " sunny", " in", " Paris", " today."},
		},
	},
}

// Agent works with the tools of real agents: it makes AgentFile, with the tool write
// of OpenClaw and Clawdbot, or with the tool bash of opencode, and answers in plain
// text once the conversation has a tool's result. It reads neither the system prompt
// nor the tools, which have 40 to 65 KB there: each byte is a token here.
var Agent = Model{
	Name:     "agent",
	Template: agentTemplate,
	Scripts: []Script{
		{
			After: AssistantTurn,
			Pieces: []string{
				"<tool", "_call>\n", `{"na`, `me": "`, "write", `", "arg`, `uments": `,
				`{"path": "`, "turn.txt", `", "con`, `tent": "`, "made by", " a tool", `"}}`, "\n</tool_call>",
			},
		},
		{
			After: Shell,
			Pieces: []string{
				"<tool_", "call>\n{", `"name": `, `"bash", `, `"arguments"`, `: {"command`, `": "printf`, ` 'made`, ` by a`,
				` tool' >`, ` turn`, `.txt", `, `"description": "Makes`, ` a file"`, "}}\n", "</tool_", "call>",
			},
		},
		{
			After:  ToolResult,
			Pieces: []string{"The", " file", " turn.", "txt is", " made."},
		},
		{
			After:  NoTools,
			Pieces: []string{"A short", " title"},
		},
	},
}

// Endless says the same three words over and over until the client goes away
// or num_predict is reached. Ollama v0.17.4 has a limit of its own even for
// num_predict -1, its default: ten times the context, 40960 tokens at 4096.
var Endless = Model{
	Name:     "endless",
	Template: chatTemplate,
	Scripts: []Script{{
		After:  AssistantTurn,
		Pieces: []string{" tick", " tock", " ..."},
		Loops:  true,
	}},
}

// All returns the models of this package.
func All() []Model {
	return []Model{Hello, Thinker, ToolCaller, ParallelTools, Agent, Endless}
}
