package jwtauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/gateway18789/caddy-ollama/jwtauth/strictjson"
)

// execVersion is the version of the protocol in which OpenClaw asks a program for
// secrets: one JSON object on standard input, one on standard output.
const execVersion = 1

// maxExecRequest bounds what is read. An id has 256 characters at most, and a
// configuration few of them.
const maxExecRequest = 64 << 10

// execRequest asks for the secrets that have these ids. It also has the provider's
// name, which says nothing that the command line does not.
type execRequest struct {
	ProtocolVersion int      `json:"protocolVersion"`
	IDs             []string `json:"ids"`
}

// execResponse has a value for each id.
type execResponse struct {
	ProtocolVersion int               `json:"protocolVersion"`
	Values          map[string]string `json:"values"`
}

// serveExec answers one request of OpenClaw: each id gets a token of its own, because
// a gateway may take each only once.
func serveExec(in io.Reader, out io.Writer, issue func() (string, error)) error {
	data, err := io.ReadAll(io.LimitReader(in, maxExecRequest+1))
	if err != nil {
		return fmt.Errorf("reading OpenClaw's request: %w", err)
	}
	if len(data) > maxExecRequest {
		return fmt.Errorf("OpenClaw's request is longer than %d bytes", maxExecRequest)
	}
	var request execRequest
	if err := strictjson.Unmarshal(data, &request); err != nil {
		return errors.New(`standard input has no request of OpenClaw, such as {"protocolVersion":1,"provider":"jwt","ids":["gateway"]}; without --exec-provider none is read`)
	}
	if request.ProtocolVersion != execVersion {
		return fmt.Errorf("OpenClaw asks in version %d of its protocol for secrets, and this is version %d", request.ProtocolVersion, execVersion)
	}
	if len(request.IDs) == 0 {
		return errors.New("OpenClaw's request has no ids")
	}
	response := execResponse{execVersion, make(map[string]string)}
	for _, id := range request.IDs {
		if response.Values[id], err = issue(); err != nil {
			return err
		}
	}
	return json.NewEncoder(out).Encode(response)
}
