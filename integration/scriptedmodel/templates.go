package scriptedmodel

// chatTemplate is plain ChatML: each message with its role, then the
// assistant's turn.
const chatTemplate = `{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
`

// thinkingTemplate is ChatML with thinking. Ollama takes a model for a thinking
// one if a range over .Messages prints .Thinking between two texts, and takes
// those texts for the tags (v0.17.4, thinking/template.go).
const thinkingTemplate = `{{- range .Messages }}<|im_start|>{{ .Role }}
{{ if .Thinking }}<think>
{{ .Thinking }}
</think>

{{ end }}{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
{{ if and .IsThinkSet (not .Think) }}` + NoThinking + `{{ end }}`

// toolTurns is ChatML with tools, in the shape that Qwen 2.5 models use, up to
// the assistant's turn. Ollama takes a model for one with tools if its template
// uses .Tools, and takes the first text inside {{ if .ToolCalls }} for the tag
// that begins a call (v0.17.4, server/images.go and tools/template.go).
const toolTurns = `{{- if or .System .Tools }}<|im_start|>system
{{ .System }}
{{- if .Tools }}
You may call these functions:
{{- range .Tools }}
{"type": "function", "function": {{ json .Function }}}
{{- end }}
{{- end }}<|im_end|>
{{ end }}
{{- $lastRole := "" }}
{{- range .Messages }}
{{- $lastRole = .Role }}
{{- if eq .Role "user" }}<|im_start|>user
{{ .Content }}<|im_end|>
{{ else if eq .Role "assistant" }}<|im_start|>assistant
{{ .Content }}
{{- if .ToolCalls }}<tool_call>
{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
{{ end }}</tool_call>
{{- end }}<|im_end|>
{{ else if eq .Role "tool" }}<|im_start|>user
<tool_response>
{{ .Content }}
</tool_response><|im_end|>
{{ end }}
{{- end }}`

// toolTemplate is toolTurns for a model that looks at the last message alone.
const toolTemplate = toolTurns + `<|im_start|>assistant
{{ if eq $lastRole "tool" }}` + ToolResult + `{{ else if not .Tools }}` + NoTools + `{{ end }}`

// parallelTemplate is toolTurns for a model that wants the results of all its
// calls: it takes a result for that of a call if both id and name are the call's.
const parallelTemplate = toolTurns + `
{{- $answered := eq $lastRole "tool" }}
{{- range .Messages }}
{{- range $call := .ToolCalls }}
{{- $found := false }}
{{- range $.Messages }}
{{- if and (eq .ToolCallID $call.ID) (eq .ToolName $call.Function.Name) }}
{{- $found = true }}
{{- end }}
{{- end }}
{{- if not $found }}
{{- $answered = false }}
{{- end }}
{{- end }}
{{- end }}<|im_start|>assistant
{{ if $answered }}` + ToolResult + `{{ end }}`

// agentTemplate is ChatML without system prompt and tools. It tells an agent by the
// names of its tools, and looks for a tool's result in the whole conversation, because
// OpenClaw sends a message of its own after each.
const agentTemplate = `{{- $marker := "` + NoTools + `" }}
{{- range .Tools }}
{{- if eq .Function.Name "bash" }}{{ $marker = "` + Shell + `" }}
{{- else if and (eq .Function.Name "write") (ne $marker "` + Shell + `") }}{{ $marker = "" }}
{{- end }}
{{- end }}
{{- range .Messages }}
{{- if eq .Role "tool" }}{{ $marker = "` + ToolResult + `" }}{{ end }}
{{- if ne .Role "system" }}<|im_start|>{{ .Role }}
{{ .Content }}
{{- if .ToolCalls }}<tool_call>
{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
{{ end }}</tool_call>
{{- end }}<|im_end|>
{{ end }}
{{- end }}<|im_start|>assistant
{{ $marker }}`
