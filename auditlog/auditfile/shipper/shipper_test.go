package shipper

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/lumberjack/lumberjacktest"
)

func TestEveryLineArrivesOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start()
		for range 5 {
			b.write(3)
			synctest.Wait()
			b.write(mostLines + 1)
		}
		synctest.Wait()
		last := b.log.Sequence()
		b.expectOnce(1, last)
		if lag := b.shipper.Lag(); lag != 0 {
			t.Errorf("%d lines are said to wait", lag)
		}
		b.expectConnections(1)
		b.stop()
	})
}

// Wherever a connection breaks, before the lines have come, in the middle of one, or
// between them and their acknowledgement: all arrive.
func TestAllLinesArriveThroughBrokenConnections(t *testing.T) {
	again, failed := 0, 0
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			random := rand.New(rand.NewPCG(seed, 1))
			breaks := make(chan *breaking, 10)
			for range cap(breaks) {
				breaks <- &breaking{read: random.IntN(60_000), write: random.IntN(30)}
			}
			b.meet(func(conn net.Conn) {
				select {
				case broken := <-breaks:
					broken.Conn = conn
					b.receiveBy(broken)
				default:
					b.receive(conn)
				}
			})
			b.start()
			for range 40 {
				b.write(random.IntN(40))
				time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
			}
			time.Sleep(15 * time.Minute)
			again += b.expectAll()
			_, failures, _ := b.seen()
			failed += failures
			b.stop()
		})
	}
	if again == 0 || failed < 100 {
		t.Errorf("%d lines came again, %d attempts failed: this proves nothing", again, failed)
	}
}

// breaking is a connection that ends after so many bytes, or before an acknowledgement has
// been sent whole.
type breaking struct {
	net.Conn
	read, write int
}

func (c *breaking) Read(p []byte) (int, error) {
	if c.read == 0 {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(p[:min(len(p), c.read)])
	c.read -= n
	return n, err
}

func (c *breaking) Write(p []byte) (int, error) {
	n := min(len(p), c.write)
	c.write -= n
	if n > 0 {
		if n, err := c.Conn.Write(p[:n]); err != nil {
			return n, err
		}
	}
	if n < len(p) {
		_ = c.Close()
		return n, io.ErrClosedPipe
	}
	return n, nil
}

// Of a window whose beginning was acknowledged only the rest is sent again.
func TestTheRestOfAWindowIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.open()
		b.write(99)
		b.meet(func(conn net.Conn) {
			b.meet(b.receive)
			n := 0
			_ = lumberjacktest.Receive(conn, func([]byte) error {
				if n++; n < 100 {
					return nil
				}
				if err := lumberjacktest.Acknowledge(conn, 20); err != nil {
					t.Error(err)
				}
				return lumberjacktest.ErrHangUp
			})
		})
		b.ship()
		time.Sleep(time.Minute)
		b.expectOnce(21, 100)
		b.stop()
	})
}

func TestNobodyWaitsForALogstashThatDoesNotAnswer(t *testing.T) {
	for name, receiver := range map[string]func(net.Conn){
		"nobody is there": nil,
		"it never reads": func(conn net.Conn) { // until the gateway hangs up
			for err := error(nil); err == nil; time.Sleep(time.Second) {
				_, err = conn.Write(nil)
			}
		},
		"it never acknowledges": func(conn net.Conn) {
			_ = lumberjacktest.Receive(struct {
				io.Reader
				io.Writer
			}{conn, io.Discard}, func([]byte) error { return nil })
		},
		"it speaks another protocol": func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1<<20))
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.meet(receiver)
				b.start()
				for range 100 {
					b.write(10)
					time.Sleep(time.Second)
				}
				if lag := b.shipper.Lag(); lag != 1001 {
					t.Errorf("%d lines are said to wait, want 1001", lag)
				}
				if _, err := os.Stat(b.path + ".shipped"); err == nil {
					t.Error("lines are noted as shipped that nobody has received")
				}
				_, failed, _ := b.seen()
				if warned := b.at(zapcore.WarnLevel); len(warned) != 1 || failed < 3 {
					t.Errorf("the operator was told %q, of %d failures", warned, failed)
				}
				b.meet(b.receive)
				time.Sleep(3 * time.Minute)
				b.expectOnce(1, 1001)
				if told := b.at(zapcore.InfoLevel); len(told) != 1 {
					t.Errorf("that it is well again was told %q", told)
				}
				b.stop()
			})
		})
	}
}

// A Logstash whose Elasticsearch is down takes its time, and says that it is alive.
func TestABusyLogstashIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.meet(func(conn net.Conn) {
			_ = lumberjacktest.Receive(conn, func(object []byte) error {
				for range 20 {
					time.Sleep(patience / 4)
					if err := lumberjacktest.Acknowledge(conn, 0); err != nil {
						return lumberjacktest.ErrHangUp
					}
				}
				return b.take(object)
			})
		})
		b.start()
		time.Sleep(time.Hour)
		b.expectOnce(1, 1)
		b.expectConnections(1)
		b.stop()
	})
}

func TestRotatedAndCompressedFilesAreShipped(t *testing.T) {
	for name, gzip := range map[string]bool{"compressed": true, "not compressed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.options.RollSize, b.options.Gzip = 10_000, gzip
				b.meet(nil)
				b.start()
				for range 5 {
					b.write(100)
					synctest.Wait()
				}
				pattern := "audit-*.log"
				if gzip {
					pattern += ".gz"
				}
				if rotated, _ := filepath.Glob(filepath.Join(filepath.Dir(b.path), pattern)); len(rotated) < 3 {
					t.Fatalf("there are only %q", rotated)
				}
				b.stop()
				b.start()
				b.meet(b.receive)
				time.Sleep(2 * time.Minute)
				b.expectOnce(1, b.log.Sequence())
				for range 30 { // while it is read
					b.write(60)
					time.Sleep(10 * time.Millisecond)
				}
				synctest.Wait()
				b.expectOnce(1, b.log.Sequence())
				if errors := b.at(zapcore.ErrorLevel); len(errors) > 0 {
					t.Errorf("the operator was told %q", errors)
				}
				b.stop()
			})
		})
	}
}

func TestTheEndWaitsForNoAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.meet(func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
		b.start()
		time.Sleep(time.Second)
		began := time.Now()
		b.stop()
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// However much waits, it is sent without a pause, and only a part of it is in memory.
func TestALongLogIsSentInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.open()
		b.write(5 * mostLines)
		b.meet(nil)
		b.ship()
		synctest.Wait()
		b.shipper.Stop()
		if n := len(b.shipper.batch.objects); n != mostLines {
			t.Errorf("%d lines are in memory", n)
		}
		b.meet(b.receive)
		b.ship()
		synctest.Wait()
		b.expectOnce(1, 5*mostLines+1)
		b.stop()
	})
}

func TestAnIdleConnectionIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var ended atomic.Int32
		b.meet(func(conn net.Conn) {
			b.receive(conn)
			ended.Add(1)
		})
		b.start()
		b.write(1)
		time.Sleep(idle - time.Second)
		b.write(1)
		time.Sleep(idle - time.Second)
		if synctest.Wait(); ended.Load() != 0 {
			t.Error("a connection was given up that is used")
		}
		time.Sleep(2 * time.Second)
		if synctest.Wait(); ended.Load() != 1 {
			t.Error("the connection was not given up")
		}
		b.write(1)
		synctest.Wait()
		b.expectOnce(1, 4)
		b.expectConnections(2)
		b.stop()
	})
}

// What somebody has done to the log stops nothing, and is told.
func TestADamagedLogIsShippedAsFarAsItCanBe(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(lines []string) []string
		want   []uint64
		told   string
	}{
		{"a line is gone", func(l []string) []string { return slices.Delete(l, 4, 6) },
			[]uint64{1, 2, 3, 4, 7, 8, 9, 10, 11, 12}, "gone before they were shipped"},
		{"a line is another one, which is for caddy audit verify to find", func(l []string) []string {
			l[4] = strings.Replace(l[4], "some", "same", 1)
			return l
		}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, ""},
		{"a line is no JSON", func(l []string) []string {
			l[4] = strings.Replace(l[4], "{", "{{", 1)
			return l
		}, []uint64{1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12}, "no JSON any more"},
		{"a line is none", func(l []string) []string { return slices.Insert(l, 4, "hello\n") },
			[]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, "a part of the audit log is not shipped"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.meet(nil)
				b.start()
				b.write(9)
				synctest.Wait()
				b.stop()
				text, err := os.ReadFile(b.path)
				if err != nil {
					t.Fatal(err)
				}
				lines := test.damage(slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(l string) bool { return l == "" }))
				if err := os.WriteFile(b.path, []byte(strings.Join(lines, "")), 0o600); err != nil {
					t.Fatal(err)
				}
				b.meet(b.receive)
				b.start()
				synctest.Wait()
				// two lines more: the log was opened again and has found the damage
				if arrived, _, _ := b.seen(); !slices.Equal(arrived, test.want) {
					t.Errorf("arrived are %v, want %v", arrived, test.want)
				}
				told := slices.DeleteFunc(b.at(zapcore.ErrorLevel), func(m string) bool {
					return strings.Contains(m, "is not as it was left")
				})
				if test.told == "" && len(told) > 0 || test.told != "" && (len(told) != 1 || !strings.Contains(told[0], test.told)) {
					t.Errorf("the operator was told %q, want %q", told, test.told)
				}
				b.stop()
			})
		})
	}
}

func TestLostFilesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.options.RollSize = 10_000
		b.open()
		for range 4 {
			b.write(100)
			synctest.Wait()
		}
		rotated, err := filepath.Glob(filepath.Join(filepath.Dir(b.path), "audit-*.gz"))
		if err != nil || len(rotated) < 3 {
			t.Fatalf("there are only %q (%v)", rotated, err)
		}
		// the second is gone, and of the third nothing can be read but its beginning
		err = errors.Join(os.Remove(rotated[1]), os.Truncate(rotated[2], 600))
		if err != nil {
			t.Fatal(err)
		}
		b.ship()
		synctest.Wait()
		arrived, _, _ := b.seen()
		if !slices.IsSorted(arrived) || arrived[0] != 1 || arrived[len(arrived)-1] != b.log.Sequence() {
			t.Errorf("arrived are %v", arrived)
		}
		if told := b.at(zapcore.ErrorLevel); len(told) != 3 {
			t.Errorf("the operator was told %q, want two gaps and a file", told)
		}
		b.stop()
	})
}
