package auditlog

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/verify"
	"github.com/gateway18789/caddy-ollama/auditlog/visible"
)

// What verify can say of a log.
const (
	sound      = "sound"
	tampered   = "tampered"
	unreadable = "unreadable"
)

// verdict is the report of `caddy audit verify` as JSON has it.
type verdict struct {
	Verdict string `json:"verdict"`
	*verify.Report
	Head *headVerdict `json:"head"` // null: there is none
	Note string       `json:"head_note,omitempty"`
	// Unreadable says which files could not be read.
	Unreadable string `json:"unreadable,omitempty"`
}

type headVerdict struct {
	File      string    `json:"file"`
	First     uint64    `json:"first_sequence"`
	Sequence  uint64    `json:"sequence"`
	Time      time.Time `json:"time"`
	Key       string    `json:"key,omitempty"`
	Signature string    `json:"signature,omitempty"`
	Fault     string    `json:"fault,omitempty"`
}

func newVerdict(report *verify.Report, head foundHead, trouble error) *verdict {
	v := &verdict{Verdict: sound, Report: report, Note: head.Note}
	if head.File != "" {
		v.Head = &headVerdict{File: head.File, Signature: head.Signature, Fault: head.Fault}
	}
	if h := head.Head; h != nil {
		v.Head.First, v.Head.Sequence, v.Head.Time, v.Head.Key = h.First, h.Sequence, h.Time, h.Key
	}
	if !report.Sound() || head.Fault != "" {
		v.Verdict = tampered
	}
	if trouble != nil {
		v.Verdict, v.Unreadable = unreadable, trouble.Error()
	}
	return v
}

// writeJSON writes one JSON object, in which nothing hides.
func (v *verdict) writeJSON(w io.Writer) error {
	if v.Findings == nil {
		v.Findings = []verify.Finding{}
	}
	if v.Notes == nil {
		v.Notes = []verify.Finding{}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(visible.Append(nil, text), '\n'))
	return err
}

// writeText writes the report for people.
func (v *verdict) writeText(w io.Writer) error {
	out := &failing{w: w}
	for _, f := range v.Findings {
		out.say("%s", inPlace(f))
	}
	if more := v.Found - len(v.Findings); more > 0 {
		out.say("and %d more", more)
	}
	for _, f := range v.Notes {
		out.say("note: %s", inPlace(f))
	}
	if more := v.Noted - len(v.Notes); more > 0 {
		out.say("note: and %d more", more)
	}
	if v.Unchecked > 0 {
		out.say("note: of %d lines that follow such places nobody can tell whether they were changed", v.Unchecked)
	}
	for _, f := range v.Files {
		out.say("%s: %s", f.Name, numbers(f.Lines, f.First, f.Last))
	}
	v.writeHead(out)
	switch v.Verdict {
	case sound:
		out.say("sound: %s", numbers(v.Lines, v.First, v.Last))
	case tampered:
		out.say("TAMPERED: %d places are not as they were written, in %s", v.Found+v.headFaults(), numbers(v.Lines, v.First, v.Last))
	case unreadable:
		out.say("CANNOT BE TOLD: not all files can be read")
	}
	return out.err
}

func (v *verdict) writeHead(out *failing) {
	if v.Note != "" {
		out.say("%s", v.Note)
	}
	h := v.Head
	switch {
	case h == nil:
		return
	case h.Fault != "":
		out.say("%s: %s", h.File, h.Fault)
		return
	}
	out.say("%s: line %d, written %s, %s", h.File, h.Sequence, h.Time.Format(time.RFC3339), h.Signature)
	if v.AfterHead > 0 {
		out.say("note: %d lines came after the head was written, which vouches for none of them", v.AfterHead)
	}
}

func (v *verdict) headFaults() int {
	if v.Head != nil && v.Head.Fault != "" {
		return 1
	}
	return 0
}

func inPlace(f verify.Finding) string {
	if f.File == "" {
		return f.Message
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
}

func numbers(lines int, first, last uint64) string {
	if last == 0 {
		return fmt.Sprintf("%d lines", lines)
	}
	return fmt.Sprintf("%d lines, numbers %d to %d", lines, first, last)
}

// failing writes lines and remembers whether it could.
type failing struct {
	w   io.Writer
	err error
}

func (f *failing) say(format string, args ...any) {
	if f.err == nil {
		_, f.err = fmt.Fprintln(f.w, shown(fmt.Sprintf(format, args...)))
	}
}
