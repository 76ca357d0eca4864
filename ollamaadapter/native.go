package ollamaadapter

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// nativeEndpoint finds what serves a request in Ollama's own dialect. There is no
// way here to pull, push, create, copy or delete, whatever the configuration.
func (h *Handler) nativeEndpoint(path string) (method string, serve serveFunc) {
	if !h.Native {
		return "", nil
	}
	switch path {
	case "/api/chat":
		return http.MethodPost, h.serveNative("chat")
	case "/api/generate":
		return http.MethodPost, h.serveNative("text_completion")
	case "/api/embed":
		return http.MethodPost, h.serveNativeEmbed
	case "/api/show":
		return http.MethodPost, h.serveNativeShow
	case "/api/tags", "/api/ps":
		return http.MethodGet, h.serveNativeModels
	case "/api/version":
		return http.MethodGet, serveNativeVersion
	}
	return "", nil
}

// serveNative serves POST /api/chat and POST /api/generate.
func (h *Handler) serveNative(operation string) serveFunc {
	return func(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
		native, u, err := h.decodeNative(w, r, next, operation)
		if err != nil {
			return err
		}
		rec := record.From(r.Context())
		rec.Stream = native.Stream
		rec.ConversationID = conversationID(r, &openai.ChatRequest{Messages: native.Messages})
		w.Header().Set("X-Conversation-Id", rec.ConversationID)
		body, err := native.Apply(h.settings(u))
		if err != nil {
			return refused(err)
		}
		out := upstreamRequest(r, http.MethodPost, r.URL.Path, body)
		if native.Stream {
			return passStream(w, out, next)
		}
		return passWhole(w, out, next, &translate.Tap{})
	}
}

// serveNativeEmbed serves POST /api/embed.
func (h *Handler) serveNativeEmbed(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	native, u, err := h.decodeNative(w, r, next, "embeddings")
	if err != nil {
		return err
	}
	settings := h.settings(u)
	settings.Rules.Defaults, settings.Rules.Limits = settings.Rules.LoadOptions(), nil
	body, err := native.Apply(settings)
	if err != nil {
		return refused(err)
	}
	out := upstreamRequest(r, http.MethodPost, "/api/embed", body)
	answer, gone, err := fetch(w, out, next)
	if gone || err != nil {
		return err
	}
	var resp ollama.EmbedResponse
	if json.Unmarshal(answer, &resp) != nil {
		return incomplete(r, translate.ErrGarbage)
	}
	note(r, translate.Summary{Model: resp.Model, PromptTokens: resp.PromptEvalCount, Counted: true})
	return writeRaw(w, answer)
}

// serveNativeShow serves POST /api/show.
func (h *Handler) serveNativeShow(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	native, u, err := h.decodeNative(w, r, next, "")
	if err != nil {
		return err
	}
	answer, gone, err := fetch(w, upstreamRequest(r, http.MethodPost, "/api/show", native.Named(u.name)), next)
	if gone || err != nil {
		return err
	}
	return writeRaw(w, answer)
}

// serveNativeModels serves GET /api/tags and GET /api/ps, of the visible models.
func (h *Handler) serveNativeModels(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	answer, gone, err := fetch(w, upstreamRequest(r, http.MethodGet, r.URL.Path, nil), next)
	if gone || err != nil {
		return err
	}
	left, err := translate.NativeModels(answer, func(tag ollama.Tag) bool {
		return h.policy.Visible(tag.Name, tag.RemoteHost != "")
	})
	if err != nil {
		return incomplete(r, err)
	}
	return writeRaw(w, left)
}

// serveNativeVersion serves GET /api/version.
func serveNativeVersion(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	answer, gone, err := fetch(w, upstreamRequest(r, http.MethodGet, "/api/version", nil), next)
	if gone || err != nil {
		return err
	}
	return writeRaw(w, answer)
}

// decodeNative reads a native request and finds its model.
func (h *Handler) decodeNative(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, operation string) (*translate.Native, upstream, error) {
	record.From(r.Context()).Operation = operation
	body, err := h.readBody(w, r)
	if err != nil {
		return nil, upstream{}, err
	}
	native, err := translate.DecodeNative(body)
	if err != nil {
		return nil, upstream{}, refused(err)
	}
	u, err := h.resolve(r, next, cmp.Or(native.Model, h.DefaultModel))
	return native, u, err
}

// passWhole passes on an answer that is no stream.
func passWhole(w http.ResponseWriter, out *http.Request, next caddyhttp.Handler, tap *translate.Tap) error {
	answer, gone, err := fetch(w, out, next)
	if gone || err != nil {
		return err
	}
	tap.Write(bytes.ReplaceAll(answer, []byte("\n"), nil)) // one line, however it is set
	err = tap.Close()
	note(out, tap.Summary())
	if err != nil {
		return incomplete(out, err)
	}
	return writeRaw(w, answer)
}

// passStream passes on a stream as it comes. One that breaks off ends in a line
// with an error, as Ollama itself ends what it cannot complete.
func passStream(w http.ResponseWriter, out *http.Request, next caddyhttp.Handler) error {
	client := &eventWriter{client: w, record: record.From(out.Context()), contentType: "application/x-ndjson"}
	tap := new(translate.Tap)
	defer func() { note(out, tap.Summary()) }()
	answer := &upstreamAnswer{header: make(http.Header)}
	answer.deliver = func(piece []byte) error {
		tap.Write(piece)
		return client.send(piece)
	}
	_, err := answer.receive(next, out)
	switch {
	case client.err != nil, clientLeft(out):
		if !client.begun {
			w.WriteHeader(record.StatusClientGone) // for the access log
		}
		return leave(out)
	case !client.begun && err != nil:
		return err
	case answer.status != http.StatusOK:
		return upstreamFault(out, answer.status, answer.body.Bytes())
	}
	err = tap.Close()
	switch {
	case err == nil:
		return nil
	case !client.begun:
		return incomplete(out, err)
	}
	client.record.Explain(record.UpstreamError)
	if errors.Is(err, translate.ErrUpstream) {
		return nil // the client has read it
	}
	_, fault := translate.AnswerFault(err)
	if client.send(append([]byte("\n"), fault.NativeJSON()...)) != nil {
		return leave(out)
	}
	return nil
}

// writeRaw sends JSON as the upstream has it.
func writeRaw(w http.ResponseWriter, data []byte) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(data)
	return err
}
