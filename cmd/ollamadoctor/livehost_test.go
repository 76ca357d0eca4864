package ollamadoctor

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestListenersAreReadFromTheKernelsTable(t *testing.T) {
	for _, test := range []struct {
		name, table string
		want        []string
	}{
		{"IPv4, and only what listens", `  sl  local_address rem_address   st tx_queue
   0: 0100007F:2CAA 00000000:0000 0A 00000000:00000000
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000
   2: 0100007F:2CAA 0100007F:C350 01 00000000:00000000
`, []string{"127.0.0.1:11434", "0.0.0.0:8080"}},
		{"IPv6", `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:2CAA 00000000000000000000000000000000:0000 0A 0
   1: 00000000000000000000000000000000:2CAA 00000000000000000000000000000000:0000 0A 0
   2: 0000000000000000FFFF00000100007F:2CAA 00000000000000000000000000000000:0000 0A 0
   3: B80D0120000000000000000001000000:2CAA 00000000000000000000000000000000:0000 0A 0
`, []string{"[::1]:11434", "[::]:11434", "[::ffff:127.0.0.1]:11434", "[2001:db8::1]:11434"}},
		{"nothing", "  sl  local_address\n", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			listeners, err := parseListeners(test.table)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range listeners {
				got = append(got, l.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	if _, err := parseListeners("head\n 0: XYZ:1 0:0 0A"); err == nil {
		t.Error("a table that cannot be read is taken for an empty one")
	}
}

func TestOwnListenersAreSeen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has /proc/net/tcp")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	listeners, err := host{}.Listeners()
	if err != nil || !slices.Contains(listeners, netip.MustParseAddrPort(listener.Addr().String())) {
		t.Errorf("%s is not among %v (%v)", listener.Addr(), listeners, err)
	}
}

func TestOnlyTheEndOfALogIsLookedThrough(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	text := "old\n" + strings.Repeat("x", lookBack-4) + "\nnew\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := (host{}).LogHas(t.Context(), file, "new"); !found || err != nil {
		t.Errorf("the new line: %t, %v", found, err)
	}
	end, err := endOf(file)
	if err != nil || strings.Contains(string(end), "old") || len(end) != lookBack {
		t.Errorf("the end has %d bytes, %v", len(end), err)
	}
}
