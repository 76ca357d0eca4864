package ratelimit

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(admin{})
}

// admin lists, makes and lifts blocks on Caddy's admin API:
//
//	GET    /ip_throttle/blocks[?zone=<name>]
//	POST   /ip_throttle/blocks   {"client": "192.0.2.1", "duration": "1h", "zone": "default"}
//	DELETE /ip_throttle/blocks/<client>[?zone=<name>]
//
// A client is an address, or what the list calls it. The zone may be left out
// where there is but one.
type admin struct{}

// CaddyModule returns the Caddy module information.
func (admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.ip_throttle",
		New: func() caddy.Module { return new(admin) },
	}
}

const blocksPath = "/ip_throttle/blocks"

// Routes implements caddy.AdminRouter.
func (a admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: blocksPath, Handler: caddy.AdminHandlerFunc(a.all)},
		{Pattern: blocksPath + "/", Handler: caddy.AdminHandlerFunc(a.one)},
	}
}

// ordered is a block that is to be made.
type ordered struct {
	Client   string `json:"client"`
	Duration string `json:"duration"`
	Zone     string `json:"zone,omitempty"`
}

func (a admin) all(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodGet:
		return list(w, r)
	case http.MethodPost:
		return block(w, r)
	default:
		return apiError(http.StatusMethodNotAllowed, errors.New("GET lists blocks, POST makes one"))
	}
}

func list(w http.ResponseWriter, r *http.Request) error {
	return answerJSON(w, http.StatusOK, Blocks(r.URL.Query().Get("zone")))
}

func block(w http.ResponseWriter, r *http.Request) error {
	var order ordered
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&order); err != nil {
		return apiError(http.StatusBadRequest, fmt.Errorf("reading the block: %w", err))
	}
	length, err := caddy.ParseDuration(order.Duration)
	if err != nil || length <= 0 || length > longest {
		return apiError(http.StatusBadRequest, fmt.Errorf("duration %q: give one up to a year, such as 1h", order.Duration))
	}
	z, t, err := zoneNamed(order.Zone)
	if err != nil {
		return err
	}
	who, err := t.clientNamed(order.Client)
	if err != nil {
		return apiError(http.StatusBadRequest, err)
	}
	b := z.Block(who, length)
	t.tellOfBlock(r.Context(), b, "")
	return answerJSON(w, http.StatusCreated, z.list(t, b))
}

func (a admin) one(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodDelete {
		return apiError(http.StatusMethodNotAllowed, errors.New("DELETE lifts a block"))
	}
	name, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), blocksPath+"/"))
	if err != nil {
		return apiError(http.StatusBadRequest, err)
	}
	if err := Unblock(r.URL.Query().Get("zone"), name); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Unblock lifts the block of a client, who is named as in the list of blocks or by an
// address. The zone may be empty where there is but one. An error is a caddy.APIError.
func Unblock(zone, client string) error {
	z, t, err := zoneNamed(zone)
	if err != nil {
		return err
	}
	lifted, err := z.lift(t, client)
	if err != nil {
		return apiError(http.StatusBadRequest, err)
	}
	if !lifted {
		return apiError(http.StatusNotFound, fmt.Errorf("client %q is not blocked in zone %q", client, z.name))
	}
	return nil
}

// lift lifts the blocks that are listed under that name: the user's that is called like
// an address, the network's that was a client before the prefix was changed. If none
// is, the name may be the address of one.
func (z *zone) lift(t *Throttle, name string) (lifted bool, err error) {
	for _, b := range z.Blocks() {
		if display(b.Client, t.IPv4Prefix, t.IPv6Prefix) == name && z.Unblock(b.Client.Key) {
			lifted = true
		}
	}
	if lifted {
		return true, nil
	}
	who, err := t.clientNamed(name)
	return err == nil && z.Unblock(who.Key), err
}

// zoneNamed is the zone of that name, or the only one, and a handler that uses it.
func zoneNamed(name string) (*zone, *Throttle, error) {
	var names []string
	var found []*claim
	for _, z := range allZones() {
		c := z.inForce()
		if c == nil {
			continue
		}
		names = append(names, z.name)
		if name == "" || name == z.name {
			found = append(found, c)
		}
	}
	slices.Sort(names)
	switch {
	case len(found) == 1:
		return found[0].throttle.zone, found[0].throttle, nil
	case len(names) == 0:
		return nil, nil, apiError(http.StatusNotFound, errors.New("no ip_throttle is configured"))
	case name == "":
		return nil, nil, apiError(http.StatusBadRequest, fmt.Errorf("say which zone: %s", strings.Join(names, ", ")))
	default:
		return nil, nil, apiError(http.StatusNotFound, fmt.Errorf("there is no zone %q, but %s", name, strings.Join(names, ", ")))
	}
}

func apiError(status int, err error) error { return caddy.APIError{HTTPStatus: status, Err: err} }

func answerJSON(w http.ResponseWriter, status int, value any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(value)
}

// Interface guard
var _ caddy.AdminRouter = admin{}
