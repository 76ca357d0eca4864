package ollamaadapter

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// What a request is about, for reverse_proxy and what chooses among its upstreams, as
// variables of Caddy's: the placeholders are {http.vars.ollama_adapter.model} and
// {http.vars.ollama_adapter.conversation}.
const (
	varModel        = "ollama_adapter.model" // as the upstream has it
	varConversation = "ollama_adapter.conversation"
)

// nameConversation tells everybody the name of the conversation.
func (h *Handler) nameConversation(w http.ResponseWriter, r *http.Request, req *openai.ChatRequest) {
	id := h.conversationID(r, req)
	record.From(r.Context()).ConversationID = id
	w.Header().Set("X-Conversation-Id", id)
	caddyhttp.SetVar(r.Context(), varConversation, id)
}

// conversationID names the conversation that a request belongs to: as the client
// calls it, or else by a keyed hash of who speaks and how the conversation opened,
// which stays the same as it grows.
func (h *Handler) conversationID(r *http.Request, req *openai.ChatRequest) string {
	var fromMetadata string
	if value, ok := req.Metadata["conversation_id"]; ok && value.Kind() == '"' {
		_ = json.Unmarshal(value, &fromMetadata) // a valid JSON string
	}
	for _, id := range [...]string{r.Header.Get("X-Conversation-Id"), fromMetadata, req.PromptCacheKey} {
		if plainID(id) {
			return id
		}
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	subject, _ := repl.GetString("http.auth.user.id")
	return h.openings.name(h.conversationKey.get(), subject, req.Messages)
}

// plainID reports whether a client may call a conversation so: visible ASCII, and not
// much of it.
func plainID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return id != "" && len(id) <= 128
}
