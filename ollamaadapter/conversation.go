package ollamaadapter

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// plainID is what a client may call a conversation: visible ASCII, and not much of it.
var plainID = regexp.MustCompile(`^[\x21-\x7e]{1,128}$`)

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
	for _, id := range []string{r.Header.Get("X-Conversation-Id"), fromMetadata, req.PromptCacheKey} {
		if plainID.MatchString(id) {
			return id
		}
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	subject, _ := repl.GetString("http.auth.user.id")
	hash := hmac.New(sha256.New, h.conversationKey.get())
	writePart(hash, subject)
	for _, m := range req.Messages {
		writePart(hash, m.Role)
		// some clients send one text now as a string and now as a part
		text := m.Content.Text.String()
		for _, part := range m.Content.Parts {
			text += part.Text.String()
			if part.ImageURL.URL != "" {
				writePart(hash, part.ImageURL.URL)
			}
		}
		writePart(hash, text)
		if m.Role == "user" {
			break
		}
	}
	return "conv_" + hex.EncodeToString(hash.Sum(nil)[:16])
}

// writePart writes s so that no two lists of parts hash alike.
func writePart(w io.Writer, s string) {
	_, _ = fmt.Fprintf(w, "%d:%s", len(s), s) // a hash never fails
}
