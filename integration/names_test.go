package integration

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"testing"
)

// rawly sends one request over a connection of its own and returns the answer.
func (g *gateway) rawly(config *tls.Config, request string) (*http.Response, error) {
	conn, err := tls.Dial("tcp", g.address(), config)
	if err != nil {
		return nil, err
	}
	g.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(conn), nil)
}

// Who names no host in the handshake, or another one, must not come by a way around
// the client certificate, the throttle or the audit log.
func TestNoNameIsAWayAround(t *testing.T) {
	g := startGateway(t, scripted(t).Address())
	for _, name := range []string{"", host, "localhost", "other.example.com"} {
		config := &tls.Config{InsecureSkipVerify: true, ServerName: name} // it is the server's checks that count here
		for _, request := range []string{
			"GET /v1/models HTTP/1.0\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
		} {
			if resp, err := g.rawly(config, request); err == nil {
				t.Errorf("without a certificate, as %q: answered %s", name, resp.Status)
			}
		}
	}

	// with a certificate they are let into the line, where the token is missing
	for _, name := range []string{"", host, "other.example.com"} {
		config := &tls.Config{InsecureSkipVerify: true, ServerName: name, Certificates: []tls.Certificate{g.client}}
		resp, err := g.rawly(config, "GET /v1/models HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n")
		if err != nil {
			t.Errorf("as %q: %v", name, err)
			continue
		}
		if resp.StatusCode != 401 {
			t.Errorf("as %q: %s", name, resp.Status)
		}
		a := answer{resp.StatusCode, resp.Header, ""}
		checkRecord(t, g.recordOf(a), record{"http.response.status_code": 401, "event.reason": "no_token"})
	}
}
