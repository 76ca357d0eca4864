package ollamatest

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestFastTellsWhenAClientLeaves(t *testing.T) {
	const hour = time.Hour
	for name, c := range map[string]struct {
		model FastModel
		body  string
	}{
		"that has a part of its stream":         {FastModel{Name: "slow", Tokens: 1000, Interval: 5 * time.Millisecond}, `{"model":"slow","stream":true,"messages":[{"role":"user","content":"hi"}]}`},
		"whose stream has not begun":            {FastModel{Name: "slow", Tokens: 10, Interval: hour}, `{"model":"slow","stream":true,"messages":[{"role":"user","content":"hi"}]}`},
		"that waits for an answer in one piece": {FastModel{Name: "slow", Tokens: 10, Interval: hour}, `{"model":"slow","stream":false,"messages":[{"role":"user","content":"hi"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			began, left := make(chan time.Time, 1), make(chan time.Time, 1)
			fast := NewFast(c.model)
			fast.Began = func(_ string, at time.Time) { began <- at }
			fast.Left = func(_ string, at time.Time) { left <- at }
			url, client := serveFast(t, fast)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/chat", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			asked := make(chan error, 1)
			go func() {
				resp, err := client.Do(req)
				if err == nil {
					_, err = bufio.NewReader(resp.Body).ReadString('\x00')
				}
				asked <- err
			}()
			<-began
			select {
			case at := <-left:
				t.Fatalf("left at %v, with the client waiting", at)
			default:
			}
			before := time.Now()
			leave()
			if at := <-left; at.Before(before) {
				t.Errorf("seen to leave at %v, but did at %v", at, before)
			}
			if err := <-asked; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

func TestFastTellsOfNobodyWhoHadTheWholeAnswer(t *testing.T) {
	fast := NewFast(FastModel{Name: "slow", Tokens: 2, Interval: time.Millisecond})
	fast.Left = func(string, time.Time) { t.Error("left") }
	url, client := serveFast(t, fast)
	for _, body := range []string{`{"model":"slow","stream":true,"messages":[{"role":"user","content":"hi"}]}`, `{"model":"slow","stream":false,"messages":[{"role":"user","content":"hi"}]}`} {
		if status, text := postFast(t, client, url+"/api/chat", body); status != 200 || !strings.Contains(text, `"done":true`) {
			t.Errorf("%d %s", status, text)
		}
		client.CloseIdleConnections()
	}
}

func TestFastLoadsAModelAtOnce(t *testing.T) {
	url, client := serveFast(t, NewFast(FastModel{Name: "slow", Tokens: 1, Interval: time.Hour}))
	if status, text := postFast(t, client, url+"/api/chat", `{"model":"slow","messages":[]}`); status != 200 || !strings.Contains(text, `"done":true`) {
		t.Errorf("%d %s", status, text)
	}
}

func TestStreamsDoNotGoInStep(t *testing.T) {
	const n, interval = 100, 100 * time.Millisecond
	var quarters [4]int
	for i := range uint64(n) {
		p := phase(i, interval)
		if p < 0 || p >= interval {
			t.Fatalf("the phase of %d is %v", i, p)
		}
		quarters[4*p/interval]++
	}
	for i, got := range quarters {
		if got < n/5 || got > n/3 {
			t.Errorf("%d of %d begin in quarter %d", got, n, i)
		}
	}
}
