package jwks

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestRefresh(t *testing.T) {
	for _, refresh := range []time.Duration{time.Second, time.Minute, 10 * time.Minute, 24 * time.Hour} {
		bubble(t, fmt.Sprintf("a key withdrawn right after a fetch is dead %v later", refresh), func(t *testing.T) {
			p := publish(t, "good", "withdrawn")
			o := p.options()
			o.Refresh = refresh
			r := remote(t, o)
			want(t, r, []string{"good", "withdrawn"}, nil)
			p.replace("good")
			pass(refresh)
			// with no kid, so that it is the background's doing
			keys, _, _ := r.Find(t.Context(), "HS256", "")
			if len(keys) != 1 || keys[0].ID != "good" {
				t.Errorf("the keys are %v", keys)
			}
			want(t, r, []string{"good"}, []string{"withdrawn"})
		})
	}
	bubble(t, "it is dead by then though the provider takes almost 5 s to answer", func(t *testing.T) {
		p := publish(t)
		o := p.options()
		o.Refresh = time.Minute
		answers := func(kids ...string) http.HandlerFunc {
			// it is answered with what was true at the beginning
			return after(4900*time.Millisecond, kids...)
		}
		p.answers(answers("good", "withdrawn"))
		r := remote(t, o)
		began := time.Now()
		want(t, r, []string{"good", "withdrawn"}, nil)
		p.answers(answers("good"))
		pass(time.Until(began.Add(time.Minute)))
		if keys, _, _ := r.Find(t.Context(), "HS256", ""); len(keys) != 1 {
			t.Errorf("the keys are %v", keys)
		}
	})
	bubble(t, "it is dead a max-age later, if that is less", func(t *testing.T) {
		p := publish(t)
		p.answers(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=120")
			sends("good", "withdrawn")(w, r)
		})
		r := remote(t, p.options())
		want(t, r, []string{"good", "withdrawn"}, nil)
		p.replace("good")
		pass(96*time.Second - 1)
		p.wantFetches(t, 1)
		pass(24*time.Second + 1)
		p.wantFetches(t, 2)
		want(t, r, []string{"good"}, []string{"withdrawn"})
	})
	bubble(t, "it goes on though nobody asks, and not more often than that", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		pass(3 * time.Hour)
		if n := p.fetches.Load() - 1; n < 180/9 || n > 180/8 {
			t.Errorf("%d fetches in 3 hours", n)
		}
		p.wantLog(t)
	})
	bubble(t, "a fetch for an unknown kid begins the interval anew", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		pass(7 * time.Minute)
		want(t, r, nil, []string{"x"})
		p.wantFetches(t, 2)
		pass(8*time.Minute - 1)
		p.wantFetches(t, 2)
		pass(time.Minute + 1)
		p.wantFetches(t, 3)
	})
}
