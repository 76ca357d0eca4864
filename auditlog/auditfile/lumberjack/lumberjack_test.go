package lumberjack

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/lumberjack/lumberjacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The bytes are those of the protocol's description.
func TestAWindowAsItIsSent(t *testing.T) {
	got := appendWindow(nil, [][]byte{[]byte(`{"a":1}`), []byte(`{"b":22}`)})
	want := "2W\x00\x00\x00\x02" + "2J\x00\x00\x00\x01\x00\x00\x00\x07" + `{"a":1}` + "2J\x00\x00\x00\x02\x00\x00\x00\x08" + `{"b":22}`
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatIsAcknowledged(t *testing.T) {
	const ack = "2A\x00\x00\x00"
	for _, test := range []struct {
		name, answer string
		want         int
		wrong        string
	}{
		{"all at once", ack + "\x03", 3, ""},
		{"one after the other", ack + "\x01" + ack + "\x02" + ack + "\x03", 3, ""},
		{"signs of life before", ack + "\x00" + ack + "\x00" + ack + "\x03", 3, ""},
		{"a sign of life after a part", ack + "\x02" + ack + "\x00" + ack + "\x03", 3, ""},
		{"a part, a sign of life, and the end", ack + "\x02" + ack + "\x00", 2, "EOF"},
		{"a part, and the end", ack + "\x02", 2, "EOF"},
		{"half an acknowledgement", ack, 0, "unexpected EOF"},
		{"nothing", "", 0, "EOF"},
		{"more than was sent", ack + "\x04", 0, "object 4 is acknowledged, of 3"},
		{"version 1", "1A\x00\x00\x00\x03", 0, "does not speak"},
		{"another protocol", "HTTP/1.1 400", 0, "does not speak"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer server.Close()
				_, _ = io.ReadFull(server, make([]byte, 6+3*12))
				_, _ = io.WriteString(server, test.answer)
			}()
			c := New(client, time.Minute)
			got, err := c.Send([][]byte{[]byte("{}"), []byte("{}"), []byte("{}")})
			if got != test.want || (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("got %d, %v; want %d, %q", got, err, test.want, test.wrong)
			}
			_ = c.Close()
			<-done
		})
	}
}

func TestWindowsComeOneAfterTheOther(t *testing.T) {
	client, server := net.Pipe()
	var taken [][]byte
	done := make(chan error)
	go func() {
		done <- lumberjacktest.Receive(server, func(object []byte) error {
			taken = append(taken, object)
			return nil
		})
	}()
	c := New(client, time.Minute)
	var sent [][]byte
	for _, n := range []int{1, 0, 3, 200} {
		var window [][]byte
		for range n {
			window = append(window, []byte(`{"n":`+strings.Repeat("1", 1+len(sent))+`}`))
			sent = append(sent, window[len(window)-1])
		}
		if got, err := c.Send(window); got != n || err != nil {
			t.Fatalf("got %d, %v; want %d", got, err, n)
		}
	}
	_ = c.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !slices.EqualFunc(taken, sent, bytes.Equal) {
		t.Errorf("%d objects were taken of %d, or others", len(taken), len(sent))
	}
}

func TestASilentReceiverIsGivenUp(t *testing.T) {
	for name, reads := range map[string]bool{"it reads": true, "it does not even read": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				if reads {
					go func() { _, _ = io.Copy(io.Discard, server) }()
				}
				began := time.Now()
				c := New(client, time.Minute)
				if got, err := c.Send([][]byte{[]byte("{}")}); got != 0 || err == nil {
					t.Errorf("got %d, %v", got, err)
				}
				if took := time.Since(began); took != time.Minute {
					t.Errorf("it took %v", took)
				}
				_ = c.Close()
			})
		})
	}
}
