package logfile

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// A thousand changes of each kind, at random places, by somebody who knows the rules but
// not the key. The verifier here is the least one there can be.
func TestAnyChangeIsFound(t *testing.T) {
	path := newPath(t)
	public, private, _ := ed25519.GenerateKey(nil)
	options := standard()
	options.SignKey = private
	log := start(t, path, options, nil)
	for i := range 200 {
		log.write(t, fmt.Sprintf(`{"n":%d,"user.id":"user %d","http.response.status_code":%d}`, i, i%7, 200+i%3))
	}
	log.close(t)
	whole := readAll(t, path)
	head, err := readHead(path + ".head")
	if err != nil {
		t.Fatal(err)
	}
	if err := errorsOf(whole, *head, public); err != nil {
		t.Fatal("the untouched log:", err)
	}

	random := rand.New(rand.NewPCG(18789, uint64(len(whole))))
	for _, test := range []struct {
		kind   string
		tamper func(lines [][]byte) [][]byte
	}{
		{"a changed byte", func(lines [][]byte) [][]byte {
			n := random.IntN(len(lines))
			line := bytes.Clone(lines[n])
			// the line break is no part of what the line says
			line[random.IntN(len(line)-1)] ^= byte(1 + random.IntN(255))
			lines[n] = line
			return lines
		}},
		{"a changed line with a hash that fits", func(lines [][]byte) [][]byte {
			n := random.IntN(len(lines)-1) + 1
			before, _ := chain.Parse(lines[n-1])
			lines[n], _, _ = before.Seal(nil, []byte(`{"n":-1}`))
			return lines
		}},
		{"a whole chain written anew", func(lines [][]byte) [][]byte {
			n := random.IntN(len(lines)-1) + 1
			before, _ := chain.Parse(lines[n-1])
			at := before.Link
			for i := n; i < len(lines); i++ {
				body := bytes.Clone(lines[i][:bytes.LastIndex(lines[i], []byte(`,"event.sequence"`))])
				if i == n {
					body = []byte(`{"n":-1`)
				}
				lines[i], at, _ = at.Seal(nil, append(body, '}'))
			}
			return lines
		}},
		{"a deleted line", func(lines [][]byte) [][]byte {
			n := random.IntN(len(lines))
			return slices.Delete(lines, n, n+1)
		}},
		{"an inserted line", func(lines [][]byte) [][]byte {
			copied := lines[random.IntN(len(lines))]
			return slices.Insert(lines, random.IntN(len(lines)+1), copied)
		}},
		{"two lines in the wrong order", func(lines [][]byte) [][]byte {
			a := random.IntN(len(lines))
			b := (a + 1 + random.IntN(len(lines)-1)) % len(lines)
			lines[a], lines[b] = lines[b], lines[a]
			return lines
		}},
		{"a missing end", func(lines [][]byte) [][]byte {
			return lines[:random.IntN(len(lines))]
		}},
		{"a missing beginning", func(lines [][]byte) [][]byte {
			return lines[1+random.IntN(len(lines)-1):]
		}},
	} {
		t.Run(test.kind, func(t *testing.T) {
			for range 1000 {
				lines := test.tamper(slices.Clone(whole))
				if slices.EqualFunc(lines, whole, bytes.Equal) {
					t.Fatal("nothing was changed")
				}
				if errorsOf(lines, *head, public) == nil {
					t.Fatalf("not found in %d lines", len(lines))
				}
			}
		})
	}
}

func errorsOf(lines [][]byte, head chain.Head, public ed25519.PublicKey) error {
	if err := head.Verify(public); err != nil {
		return err
	}
	return verify(lines, head)
}

func TestARestartFindsWhatWasChangedMeanwhile(t *testing.T) {
	for _, test := range []struct {
		name   string
		tamper func(t *testing.T, path string)
		fault  string // empty if there is none
	}{
		{"nothing", func(*testing.T, string) {}, ""},
		{"the last line is missing", func(t *testing.T, path string) {
			lines := strings.SplitAfter(read(t, path), "\n")
			overwrite(t, path, strings.Join(lines[:len(lines)-2], ""))
		}, "the log ends with line 3, but its head tells of line 4"},
		{"the file is missing", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "the log ends with line 0, but its head tells of line 4"},
		{"the file is empty", func(t *testing.T, path string) { overwrite(t, path, "") },
			"the log ends with line 0, but its head tells of line 4"},
		{"a line was changed", func(t *testing.T, path string) {
			overwrite(t, path, strings.Replace(read(t, path), `"n":2`, `"n":7`, 1))
		}, "line 3: wrong event.hash"},
		{"a line is missing in the middle", func(t *testing.T, path string) {
			lines := strings.SplitAfter(read(t, path), "\n")
			overwrite(t, path, strings.Join(slices.Delete(lines, 2, 3), ""))
		}, "line 3: wrong event.sequence"},
		{"a foreign line in the middle", func(t *testing.T, path string) {
			lines := strings.SplitAfter(read(t, path), "\n")
			overwrite(t, path, strings.Join(slices.Insert(lines, 2, "{}\n"), ""))
		}, "line 3: the line does not end with event.hash"},
		{"the first line is missing", func(t *testing.T, path string) {
			_, rest, _ := strings.Cut(read(t, path), "\n")
			overwrite(t, path, rest)
		}, "the file does not begin with its opening line"},
		{"the last line was written anew", func(t *testing.T, path string) {
			lines := bytes.SplitAfter([]byte(read(t, path)), []byte("\n"))
			before, _ := chain.Parse(lines[2])
			lines[3], _, _ = before.Seal(nil, []byte(`{"n":7}`))
			overwrite(t, path, string(bytes.Join(lines, nil)))
		}, "line 4 is not the one of which the head tells"},
		{"the head is missing", func(t *testing.T, path string) {
			if err := os.Remove(path + ".head"); err != nil {
				t.Fatal(err)
			}
		}, "the head is missing"},
		{"the head is no head", func(t *testing.T, path string) { overwrite(t, path+".head", "x") }, "the head cannot be read"},
		{"the head was changed", func(t *testing.T, path string) {
			text := read(t, path+".head")
			overwrite(t, path+".head", strings.Replace(text, `"time":"2`, `"time":"1`, 1))
		}, "the head's signature is wrong"},
		{"the head tells of an older beginning", func(t *testing.T, path string) {
			// as if the files before had been deleted: all lines get other numbers
			lines := bytes.SplitAfter([]byte(read(t, path)), []byte("\n"))
			at := chain.Link{Sequence: 10}
			for i, line := range lines[:len(lines)-1] {
				body := bytes.Clone(line[:bytes.LastIndex(line, []byte(`,"event.sequence"`))])
				lines[i], at, _ = at.Seal(nil, append(body, '}'))
			}
			overwrite(t, path, string(bytes.Join(lines, nil)))
		}, "the log begins with line 11, but its head tells of line 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := newPath(t)
			options := standard()
			_, options.SignKey, _ = ed25519.GenerateKey(nil)
			log := start(t, path, options, nil)
			log.write(t, numbered(3)...)
			log.close(t)
			test.tamper(t, path)

			log = start(t, path, options, nil)
			log.write(t, numbered(1)...)
			log.close(t)
			told := strings.Join(log.at(zapcore.ErrorLevel), "; ")
			mismatch := ""
			for _, raw := range readAll(t, path) {
				var line map[string]any
				if json.Unmarshal(raw, &line) == nil && line["event.action"] == HeadMismatch {
					mismatch = line["event.reason"].(string)
				}
			}
			if test.fault == "" {
				if told != "" || mismatch != "" {
					t.Errorf("told %q, recorded %q", told, mismatch)
				}
				return
			}
			contains(t, mismatch, test.fault)
			contains(t, told, "the audit log is not as it was left")
		})
	}
}

func TestARestartWithAnotherKeyIsRecorded(t *testing.T) {
	path := newPath(t)
	options := standard()
	start(t, path, options, nil).close(t)
	public, private, _ := ed25519.GenerateKey(nil)
	options.SignKey = private
	start(t, path, options, nil).close(t)
	options.SignKey = nil // as whoever takes the signature away to rewrite the log would
	start(t, path, options, nil).close(t)
	lines := audit(t, path, nil)
	expectStory(t, lines, "created restarted audit-head-key-changed restarted audit-head-key-changed")
	if now := with(lines, "labels.key_now"); len(now) != 1 || now[0] != chain.Fingerprint(public) {
		t.Errorf("the new key is %v", now)
	}
}

func TestWhatIsNoLineAtTheEndIsPutAside(t *testing.T) {
	for name, rest := range map[string]string{
		"half a line":                   `{"n":4,"event.sequ`,
		"a whole line without its end":  `{"n":4,"event.sequence":5}`,
		"zeros, as a power cut leaves":  strings.Repeat("\x00", 100),
		"lines that somebody has added": "{\"n\":4}\n{\"n\":5}\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			log := start(t, path, standard(), nil)
			log.write(t, numbered(3)...)
			log.close(t)
			overwrite(t, path, read(t, path)+rest)

			log = start(t, path, standard(), nil)
			log.write(t, numbered(1)...)
			log.close(t)
			lines := audit(t, path, nil)
			foreign := strings.Contains(rest, "\n")
			want := "created 1 2 3 restarted audit-line-cut 1"
			if foreign {
				want = "created 1 2 3 restarted audit-head-mismatch audit-line-cut 1"
			}
			expectStory(t, lines, want)
			aside := names(t, path)
			if len(aside) != 1 || !strings.HasPrefix(aside[0], "audit.log.cut-") {
				t.Fatalf("put aside: %v", aside)
			}
			if got := read(t, strings.Replace(path, "audit.log", aside[0], 1)); got != rest {
				t.Errorf("put aside: %q", got)
			}
			contains(t, strings.Join(log.at(zapcore.WarnLevel), "; "), "put aside")
		})
	}
}

func TestAProcessThatDiesBetweenTwoFilesGoesOn(t *testing.T) {
	for name, after := range map[string]func(t *testing.T, path string){
		"before the new file was there": func(*testing.T, string) {},
		"before its first line":         func(t *testing.T, path string) { overwrite(t, path, "") },
		"within its first line":         func(t *testing.T, path string) { overwrite(t, path, `{"@timest`) },
	} {
		for _, zipped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, compressed %v", name, zipped), func(t *testing.T) {
				path := newPath(t)
				log := start(t, path, standard(), nil)
				log.write(t, numbered(3)...)
				log.close(t)
				rotated := segmentName(path, time.Now())
				if err := os.Rename(path, rotated); err != nil {
					t.Fatal(err)
				}
				if zipped {
					if err := compress(rotated, nil); err != nil {
						t.Fatal(err)
					}
				}
				after(t, path)
				log = start(t, path, standard(), nil)
				log.write(t, numbered(1)...)
				log.close(t)
				story := story(audit(t, path, nil))
				if strings.Replace(story, " audit-line-cut", "", 1) != "created 1 2 3 rotated 1" {
					t.Errorf("the log tells: %s", story)
				}
				if told := log.at(zapcore.ErrorLevel); len(told) > 0 {
					t.Errorf("told: %q", told)
				}
			})
		}
	}
}

// The head may be older than the last rotation, if the process died just then.
func TestAHeadThatTellsOfARotatedFileIsChecked(t *testing.T) {
	for _, tampered := range []bool{false, true} {
		t.Run(fmt.Sprint("tampered ", tampered), func(t *testing.T) {
			path := newPath(t)
			log := start(t, path, standard(), nil)
			log.write(t, numbered(3)...)
			log.close(t)
			old := read(t, path+".head")
			options := standard()
			options.RollSize = 1
			log = start(t, path, options, nil)
			log.write(t, numbered(1)...)
			waitFor(t, "rotated files", func() bool { return len(names(t, path)) > 0 })
			log.close(t)
			if tampered {
				old = strings.Replace(old, `"hash":"`, `"hash":"0`, 1)
				at := strings.Index(old, `"hash":"`) + len(`"hash":"`) + 64
				old = old[:at] + old[at+1:]
			}
			overwrite(t, path+".head", old)
			log = start(t, path, standard(), nil)
			log.close(t)
			if told := log.at(zapcore.ErrorLevel); (len(told) > 0) != tampered {
				t.Errorf("told: %q", told)
			}
		})
	}
}
