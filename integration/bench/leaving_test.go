package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestWhatTheUpstreamTellsIsUnderstood(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)
	left := began.Add(time.Second)
	var told bytes.Buffer
	tell(&told, beganWord)(leaveModel, began)
	tell(&told, beganWord)(heldModel(time.Second), began) // nobody asked
	told.WriteString("panic: something else\n")
	tell(&told, leftWord)(leaveModel, left)
	l := readLeavings(strings.NewReader(told.String()))
	if at := <-l.began; !at.Equal(began) {
		t.Errorf("began at %v, want %v", at, began)
	}
	if at := <-l.left; !at.Equal(left) {
		t.Errorf("left at %v, want %v", at, left)
	}
	if len(l.began) > 0 {
		t.Error("told of another model")
	}
}
