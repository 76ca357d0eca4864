package console

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ratelimit"
)

// serveCancel cancels a request: its client is told that the operator has ended it.
func (h *Handler) serveCancel(w http.ResponseWriter, r *http.Request) error {
	var order struct {
		Key uint64 `json:"key"`
	}
	if err := readOrder(w, r, &order); err != nil {
		return err
	}
	requestID, ok := h.board.Cancel(order.Key)
	if !ok {
		return refusal(http.StatusNotFound, "that request is not in flight any more")
	}
	h.logger.Info("request cancelled", zap.String("request_id", requestID), ordered(r))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// serveUnblock lifts a block.
func (h *Handler) serveUnblock(w http.ResponseWriter, r *http.Request) error {
	var order struct {
		Zone   string `json:"zone"`
		Client string `json:"client"`
	}
	if err := readOrder(w, r, &order); err != nil {
		return err
	}
	if err := ratelimit.Unblock(order.Zone, order.Client); err != nil {
		status := http.StatusInternalServerError
		if api, ok := errors.AsType[caddy.APIError](err); ok {
			status = api.HTTPStatus
		}
		return refusal(status, err.Error())
	}
	h.logger.Info("block lifted", zap.String("zone", order.Zone), zap.String("client", order.Client), ordered(r))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ordered names the record that says who has ordered it.
func ordered(r *http.Request) zap.Field {
	return zap.String("by_request_id", record.From(r.Context()).RequestID)
}

// readOrder reads what a button orders.
func readOrder(w http.ResponseWriter, r *http.Request, order any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(order); err != nil {
		return refusal(http.StatusBadRequest, "the order cannot be read")
	}
	return nil
}

// refusal is an answer in OpenAI's shape, where openai_error is.
func refusal(status int, message string) error {
	fault := openai.ErrorOf(status)
	fault.Message = message
	return caddyhttp.Error(status, fault)
}
