package memory_test

import (
	"strings"
	"testing"
)

func TestClaims(t *testing.T) {
	type configuration struct{ int }
	old, fresh := &configuration{1}, &configuration{2}

	t.Run("handlers of one configuration may share a zone with the same settings", func(t *testing.T) {
		z, _ := newZone()
		for range 3 {
			if err := z.Claim(old, "5/s"); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("handlers of one configuration may not have different settings", func(t *testing.T) {
		z, _ := newZone()
		if err := z.Claim(old, "5/s"); err != nil {
			t.Fatal(err)
		}
		err := z.Claim(old, "6/s")
		if err == nil || !strings.Contains(err.Error(), "zone name of its own") {
			t.Fatalf("error is %v, want one that says what to do", err)
		}
		// the one refused has left nothing behind
		z.Unclaim(old)
		if err := z.Claim(old, "6/s"); err != nil {
			t.Errorf("after the only claim was taken back: %v", err)
		}
	})
	t.Run("a new configuration may change the settings while the old one is in force", func(t *testing.T) {
		z, _ := newZone()
		if err := z.Claim(old, "5/s"); err != nil {
			t.Fatal(err)
		}
		if err := z.Claim(fresh, "6/s"); err != nil {
			t.Fatal(err)
		}
		if err := z.Claim(fresh, "5/s"); err == nil {
			t.Error("the new configuration may mix old and new settings")
		}
		z.Unclaim(old)
		if err := z.Claim(fresh, "6/s"); err != nil {
			t.Errorf("after the old configuration has left: %v", err)
		}
	})
	t.Run("settings hold until the last of their handlers has left", func(t *testing.T) {
		z, _ := newZone()
		for range 2 {
			if err := z.Claim(old, "5/s"); err != nil {
				t.Fatal(err)
			}
		}
		z.Unclaim(old)
		if err := z.Claim(old, "6/s"); err == nil {
			t.Error("other settings are let in beside a handler that is still there")
		}
		z.Unclaim(old)
		if err := z.Claim(old, "6/s"); err != nil {
			t.Errorf("after the last has left: %v", err)
		}
	})
	t.Run("taking back what was never claimed does no harm", func(t *testing.T) {
		z, _ := newZone()
		z.Unclaim(old)
		if err := z.Claim(old, "5/s"); err != nil {
			t.Error(err)
		}
	})
}
