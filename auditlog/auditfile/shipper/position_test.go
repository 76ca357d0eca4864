package shipper

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
)

func TestWhatWasAcknowledgedIsNotSentAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start()
		b.write(20)
		synctest.Wait()
		b.meet(nil)
		b.stop()
		b.expectOnce(1, 21)
		b.forget()

		b.start() // one more line: the log was opened again
		b.write(5)
		time.Sleep(time.Minute)
		b.stop()
		b.expectOnce(22, 21) // nothing
		b.meet(b.receive)
		b.start()
		b.write(5)
		time.Sleep(time.Minute)
		b.expectOnce(22, 33)
		b.stop()
		// and another receiver of the same process goes on, too
		b.forget()
		b.start()
		synctest.Wait()
		b.expectOnce(34, 34)
		b.shipper.Stop()
		b.write(3)
		b.ship()
		synctest.Wait()
		b.expectOnce(34, 37)
		b.stop()
	})
}

func TestWithoutAPositionAllIsSentAgain(t *testing.T) {
	for name, position := range map[string]string{
		"it was deleted":       "",
		"it is empty":          "\x00",
		"it is no JSON":        "sequence 3",
		"it has no hash":       `{"sequence":3,"hash":""}`,
		"it is of this log":    "kept",
		"it is of another log": `{"sequence":10,"hash":"` + strings.Repeat("ab", 32) + `"}`,
		"the log is shorter":   `{"sequence":1000,"hash":"` + strings.Repeat("ab", 32) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.start()
				b.write(9)
				synctest.Wait()
				b.stop()
				b.forget()
				file, first := b.path+".shipped", uint64(1)
				switch position {
				case "kept":
					first = 11
				case "":
					if err := os.Remove(file); err != nil {
						t.Fatal(err)
					}
				default:
					if err := os.WriteFile(file, []byte(strings.Trim(position, "\x00")), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				b.start()
				synctest.Wait()
				b.expectOnce(first, 11)
				told := b.at(zapcore.WarnLevel)
				if unknown := position != "" && position != "kept"; (len(told) > 0) != unknown {
					t.Errorf("the operator was told %q", told)
				}
				b.stop()
			})
		})
	}
}

func TestThePositionIsNotedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start()
		noted := make(map[uint64]bool)
		for range 100 {
			b.write(1)
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			at, err := b.log.Shipped()
			if err != nil {
				t.Fatal(err)
			}
			noted[at.Sequence] = true
		}
		time.Sleep(noteEvery)
		synctest.Wait()
		if at, err := b.log.Shipped(); at.Sequence != 101 || err != nil {
			t.Errorf("noted is line %d (%v), want 101", at.Sequence, err)
		}
		if len(noted) < 4 || len(noted) > 7 {
			t.Errorf("in 5 s the position was noted %d times", len(noted))
		}
		b.stop()
	})
}

func TestThePositionIsNotedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start()
		synctest.Wait() // the position was noted just now
		b.write(5)
		synctest.Wait()
		b.stop()
		if at, err := b.log.Shipped(); at.Sequence != 6 || err != nil {
			t.Errorf("noted is line %d (%v), want 6", at.Sequence, err)
		}
	})
}
