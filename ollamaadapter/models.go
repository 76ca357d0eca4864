package ollamaadapter

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/permit"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/catalog"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// serveModels serves GET /v1/models: the models that clients may ask for, under
// their own names and under their aliases.
func (h *Handler) serveModels(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	ask := h.asking(r, next)
	tags, err := h.catalog.Models(r.Context(), ask)
	if err != nil {
		return unreachable(r, err)
	}
	only := permit.Models(r.Context())
	list := openai.ModelList{Object: "list", Data: []openai.Model{}}
	for _, tag := range tags {
		if h.policy.Visible(tag.Name, tag.RemoteHost != "") && policy.Permits(only, tag.Name) {
			list.Data = append(list.Data, translate.Model(tag.Name, h.given(h.catalog.Model(r.Context(), ask, tag.Name))))
		}
	}
	for alias, real := range h.Aliases {
		if !policy.Permits(only, alias) {
			continue
		}
		if m := h.catalog.Model(r.Context(), ask, real); m.Name != "" {
			list.Data = append(list.Data, translate.Model(alias, h.given(m)))
		}
	}
	slices.SortStableFunc(list.Data, func(a, b openai.Model) int { return strings.Compare(a.ID, b.ID) })
	return writeJSON(w, list)
}

// serveModel serves GET /v1/models/{id}.
func (h *Handler) serveModel(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, id string) error {
	name, allowed := h.policy.Resolve(id, permit.Models(r.Context()))
	if !allowed {
		return modelNotFound(r)
	}
	ask := h.asking(r, next)
	if _, err := h.catalog.Models(r.Context(), ask); err != nil {
		return unreachable(r, err)
	}
	m := h.catalog.Model(r.Context(), ask, name)
	if m.Name == "" || m.RemoteHost != "" && !h.policy.MayLeave(id, name) {
		return modelNotFound(r)
	}
	return writeJSON(w, translate.Model(id, h.given(m)))
}

// given is the model with the context that clients are given of it: a num_ctx among
// the defaults holds for all of them.
func (h *Handler) given(m catalog.Model) catalog.Model {
	pinned, err := json.Marshal(h.policy.For(m.Name).Defaults["num_ctx"])
	if n, errNumber := strconv.Atoi(string(pinned)); err == nil && errNumber == nil && (m.ContextLength == 0 || n < m.ContextLength) {
		m.ContextLength = n
	}
	return m
}

// unreachable is the answer when the upstream does not tell what it has.
func unreachable(r *http.Request, err error) error {
	if clientLeft(r) {
		record.From(r.Context()).Explain(record.ClientGone)
		return caddyhttp.Error(record.StatusClientGone, err)
	}
	if record.WasCancelled(r.Context()) {
		return cancelled(r)
	}
	record.From(r.Context()).Explain(record.UpstreamError)
	return caddyhttp.Error(http.StatusBadGateway, errors.Join(openai.ErrorOf(http.StatusBadGateway), err))
}

func writeJSON(w http.ResponseWriter, v any) error {
	data, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, errors.New("encoding the answer failed"))
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(data)
	return err
}
