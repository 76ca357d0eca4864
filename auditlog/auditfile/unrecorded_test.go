package auditfile_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"
)

// Caddy never sees what Go's HTTP server answers by itself. README lists it; it must not
// become more unnoticed, nor come any further.
func TestWhatGoAnswersByItselfHasNoRecordAndComesNoFurther(t *testing.T) {
	t.Cleanup(func() { // Go's server holds a connection for half a second after it has refused it
		waitFor(t, "end of the connections", func() bool { return goleak.Find(locksOfStorage) == nil })
	})
	path := newPath(t)
	g := newGateway(t)
	g.mustLoad(t, path, "")
	header := func(size int) string {
		return "GET /large HTTP/1.1\r\nHost: gw\r\nX-Large: " + strings.Repeat("x", size) + "\r\n\r\n"
	}
	for _, test := range []struct {
		name, request string
		status        int
	}{
		{"a question for the server's options", "OPTIONS * HTTP/1.1\r\nHost: gw\r\n\r\n", 200},
		{"an expectation that nobody knows", "GET /expects HTTP/1.1\r\nHost: gw\r\nExpect: foo\r\n\r\n", 417},
		{"an encoding that nobody knows", "POST /encoded HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		{"no host", "GET /nohost HTTP/1.1\r\n\r\n", 400},
		{"a header of more than 20 KiB", header(21 << 10), 431},
		{"a header of less", strings.Replace(header(19<<10), "gw", g.address, 1), 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", g.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() { _, _ = io.WriteString(conn, test.request) }() // it may be answered before it is whole
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != test.status {
				t.Errorf("status %d, want %d", response.StatusCode, test.status)
			}
		})
	}
	if n := g.reached.Load(); n != 1 {
		t.Errorf("%d requests reached the upstream", n)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	expectRequests(t, path, "/large 200 ok")
}

func TestAServersMaxHeaderSizeCounts(t *testing.T) {
	g := newGateway(t)
	g.others = "servers {\n max_header_size 32KiB\n }"
	g.mustLoad(t, newPath(t), "")
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/large", g.address), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Large", strings.Repeat("x", 30<<10))
	response, err := g.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
}
