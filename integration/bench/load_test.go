package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// Who takes requests late finds them due when they were: how long they waited counts.
func TestTheOpenLoopWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		due := dueAt(began, 1000, 20*time.Millisecond)
		time.Sleep(time.Second) // all connections are busy meanwhile
		n := 0
		for at := range due {
			if want := began.Add(time.Duration(n) * time.Millisecond); !at.Equal(want) {
				t.Errorf("request %d is due at %v, want %v", n, at.Sub(began), want.Sub(began))
			}
			n++
		}
		if n != 20 {
			t.Errorf("%d requests, want 20", n)
		}
	})
}
