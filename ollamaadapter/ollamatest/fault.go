package ollamatest

import (
	"math"
	"slices"
	"strings"
)

// Fault is something that goes wrong with an answer, at line number Answer.FaultAt.
// A whole answer with a fault goes out in as many pieces as its stream would have
// lines, so that FaultAt means the same share of it.
type Fault string

const (
	// ErrorLine: an error stands in place of the line, and ends the answer. Before
	// the first line Ollama does that up to 0.12.5; since then it answers with
	// Answer.Status 500, as it does where the answer is whole.
	ErrorLine Fault = "error line"
	// Stall: nothing more comes, until the caller leaves or the server closes.
	// Before the first line there is not even a status.
	Stall Fault = "stall"
	// Reset: the connection is reset (RST). Before the first line there is no status.
	Reset Fault = "reset"
	// CleanClose: the answer ends as if it were complete. A whole one says
	// done:false, as Ollama 0.17.4 does when it gives up on a model that repeats itself.
	CleanClose Fault = "clean close"
	// Cut: the connection is closed in the midst of the line, and of its chunk.
	Cut Fault = "cut"
	// Garbage: a line that is no JSON comes before the line. A whole answer is
	// nothing but that.
	Garbage Fault = "garbage"
	// HalfRune: in place of the line comes one that is cut within a UTF-8 sequence.
	HalfRune Fault = "half a rune"
	// LongLine: a line of 8 MiB comes before the line, the longest that a reader
	// must take. A whole answer is that long.
	LongLine Fault = "long line"
	// LongerLine is a LongLine with one byte more.
	LongerLine Fault = "longer line"

	// What follows has no place: FaultAt does not matter.

	// Split: each byte is written and flushed alone. No fault, but hard on readers.
	Split Fault = "split"
	// CRLF: lines end in \r\n. No fault either.
	CRLF Fault = "CRLF"
	// TwoDone: the last line, or the whole answer, comes twice.
	TwoDone Fault = "two done"
	// TextAfterDone: a line with content comes after the last one.
	TextAfterDone Fault = "text after done"
)

// AfterDone as FaultAt puts a fault after the last line, or the whole answer.
const AfterDone = math.MaxInt

// Faults returns all faults, for tests of each.
func Faults() []Fault {
	return []Fault{
		ErrorLine, Stall, Reset, CleanClose, Cut, Garbage, HalfRune, LongLine, LongerLine,
		Split, CRLF, TwoDone, TextAfterDone,
	}
}

const (
	runnerFailed = "an error was encountered while running the model"
	proxyPage    = "<html><body><h1>502 Bad Gateway</h1></body></html>\n"
	longLine     = 8 << 20 // without its line break
	halved       = "€"     // three bytes
)

// script is how the answer goes out, with its fault if it has one.
func (a Answer) script(stream bool, say sayFunc) script {
	if a.Cut {
		a.Fault, a.FaultAt = Cut, AfterDone
	}
	lines := a.lines(say)
	done := lines[len(lines)-1]
	whole := !stream && a.Raw == nil
	if whole {
		done = a.object(say, "")
		lines = a.parts(done, len(lines))
	}
	if a.Raw != nil {
		lines = slices.Clone(a.Raw)
	}
	at := min(a.FaultAt, len(lines))
	if whole && at < len(lines) {
		if object := a.faultyObject(at, say); object != "" {
			return script{pieces: []string{object}}
		}
	}
	before, after := lines[:at], lines[at:]
	text := func(s string) string { return say(content(s)) }
	switch a.Fault {
	case "":
		return script{pieces: lines}
	case ErrorLine:
		return script{pieces: append(before, asLine(errorBody{runnerFailed}))}
	case Stall:
		return script{pieces: before, end: stall}
	case Reset:
		return script{pieces: before, end: reset}
	case CleanClose:
		return script{pieces: before, end: closeEarly}
	case Cut:
		line := strings.Join(after[:min(1, len(after))], "")
		return script{pieces: before, end: cut, torn: line[:len(line)/2]}
	case HalfRune:
		torn := text(halved)
		if whole {
			before, torn = nil, a.first(at).object(say, halved)
		}
		return script{pieces: before, end: cut, torn: torn[:strings.LastIndex(torn, halved)+1]}
	case Garbage:
		return script{pieces: slices.Insert(lines, at, proxyPage)}
	case LongLine:
		return script{pieces: slices.Insert(lines, at, padded(text, longLine))}
	case LongerLine:
		return script{pieces: slices.Insert(lines, at, padded(text, longLine+1))}
	case Split:
		return script{pieces: lines, bytewise: true}
	case CRLF:
		for i := range lines {
			lines[i] = strings.ReplaceAll(lines[i], "\n", "\r\n")
		}
		return script{pieces: lines}
	case TwoDone:
		return script{pieces: append(lines, done)}
	case TextAfterDone:
		return script{pieces: append(lines, text("after the end"))}
	}
	panic("no such fault: " + a.Fault)
}

// faultyObject is what stands for a whole answer with a fault that is not a matter
// of when; empty for the other faults.
func (a Answer) faultyObject(at int, say sayFunc) string {
	text := func(s string) string { return a.object(say, s) }
	switch a.Fault {
	case CleanClose:
		return a.first(at).unfinished(say)
	case Garbage:
		return proxyPage
	case LongLine:
		return padded(text, longLine)
	case LongerLine:
		return padded(text, longLine+1)
	}
	return ""
}

// padded is the line of n bytes that text makes of a text long enough.
func padded(text func(string) string, n int) string {
	return text(strings.Repeat("x", n+2-len(text("x")))) // 2 are the x and the line break
}
