package jwtauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/gateway18789/caddy-ollama/jwtauth/replay"
)

// judgesOf are the jwt_auth handlers of a configuration, asked as if a client came
// with the certificate.
func judgesOf(file string, certificate *x509.Certificate) (judges []judge, end func(), err error) {
	ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
	config, err := loadConfig(file)
	if err != nil {
		return nil, end, err
	}
	for _, handler := range handlersNamed("jwt_auth", config) {
		delete(handler, "handler") // what Caddy itself takes out
		data, err := json.Marshal(handler)
		if err != nil {
			return nil, end, err
		}
		module, err := ctx.LoadModuleByID("http.handlers.jwt_auth", data)
		if err != nil {
			return nil, end, err
		}
		judges = append(judges, module.(*Handler).judge(certificate))
	}
	if judges == nil {
		return nil, end, fmt.Errorf("%s has no jwt_auth", file)
	}
	return judges, end, nil
}

// judge is this handler without the request around a token. What another handler has
// seen it does not know, so that each says what it would of a token that is new.
func (h *Handler) judge(certificate *x509.Certificate) judge {
	if h.replayed != nil {
		h.replayed = replay.New(maxReplayed)
	}
	return judge{"jwt_auth" + h.at(), func(compact string, now time.Time) error {
		r := &http.Request{TLS: new(tls.ConnectionState)}
		if certificate != nil {
			r.TLS.PeerCertificates = []*x509.Certificate{certificate}
		}
		h.now = func() time.Time { return now }
		_, err := h.verify(r, compact)
		return err
	}}
}

// loadConfig reads a configuration in JSON, or a Caddyfile.
func loadConfig(file string) (config any, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if filepath.Ext(file) != ".json" {
		adapter := caddyconfig.GetAdapter("caddyfile")
		if adapter == nil {
			return nil, errors.New("this Caddy cannot read a Caddyfile")
		}
		if data, _, err = adapter.Adapt(data, map[string]any{"filename": file}); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("the configuration in %s: %w", file, err)
	}
	return config, nil
}

// handlersNamed finds all handlers of a name, wherever in a configuration they are.
func handlersNamed(name string, config any) (found []map[string]any) {
	switch config := config.(type) {
	case map[string]any:
		if config["handler"] == name {
			return []map[string]any{config}
		}
		for _, member := range slices.Sorted(maps.Keys(config)) {
			found = append(found, handlersNamed(name, config[member])...)
		}
	case []any:
		for _, element := range config {
			found = append(found, handlersNamed(name, element)...)
		}
	}
	return found
}
