// Package checkup examines a gateway and the Ollama behind it, step by step, and says
// of each fault what its likely cause is and what to do. It knows nothing of files and
// sockets: those it asks through the interfaces of a Patient.
package checkup

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Status of a step.
type Status string

const (
	OK      Status = "ok"
	Warning Status = "warning" // works, but not as well as it could
	Failed  Status = "failed"
	Skipped Status = "skipped" // nobody looked
)

// Finding is what a step comes to.
type Finding struct {
	Status Status `json:"status"`
	Text   string `json:"finding"`
	// Cause is the likely one, Remedy what to do about it: a sentence each.
	Cause  string `json:"cause,omitempty"`
	Remedy string `json:"remedy,omitempty"`

	ends bool // what needs this step is not taken, as if it had failed
}

// Step is a part of the examination.
type Step struct {
	Name string `json:"step"`
	// Ollama is the one of several that it was taken of.
	Ollama string `json:"ollama,omitempty"`
	Finding
}

// step is a Step that is still to be taken. It is skipped if one that it needs has
// failed, or was itself skipped for that.
type step struct {
	name   string
	needs  []string
	within time.Duration
	look   look
}

// look takes a step, whether once or of each Ollama.
type look interface {
	take(context.Context, step, *Patient, blocks) []Step
}

// once is how a step is taken that the whole has.
type once func(context.Context, *Patient) Finding

// steps are in an order in which the first failure is the one to look at first.
var steps = []step{
	{"ollama", nil, short, ofEach{askVersion, judgeVersion}},
	{"model", []string{"ollama"}, short, ofEach{askInstalled, judgeModel}},
	{"loaded", []string{"model"}, short, ofEach{askRunning, judgeLoaded}},
	{"context", []string{"model"}, short, ofEach{askShow, judgeContext}},
	{"same version", nil, short, ofSeveral(checkSameVersion)},
	{"same models", nil, short, ofSeveral(checkSameModels)},
	{"exposure", nil, short, once(checkExposure)},
	{"gateway", nil, short, once(checkReachable)},
	{"server certificate", []string{"gateway"}, short, once(checkServerCertificate)},
	{"redirect", []string{"gateway"}, short, once(checkRedirect)},
	{"client certificate", []string{"server certificate"}, short, once(checkClientCertificate)},
	{"no certificate", []string{"server certificate"}, short, once(checkNoCertificate)},
	{"address", []string{"client certificate"}, short, once(checkAddress)},
	{"clock", []string{"client certificate"}, short, once(checkClock)},
	{"token", []string{"address"}, short, once(checkToken)},
	{"no token", []string{"token"}, short, once(checkNoToken)},
	{"rate headers", []string{"address"}, short, once(checkRateHeaders)},
	{"adapter", []string{"model", "token"}, long, once(checkAdapter)},
	{"audit", []string{"client certificate"}, short, once(checkAudit)},
}

// How long a step may take. The long one is for a model that is loaded first.
const (
	short = 10 * time.Second
	long  = 300 * time.Second
)

// Names are the names of all steps, in their order.
func Names() (names []string) {
	for _, s := range steps {
		names = append(names, s.name)
	}
	return names
}

// Examine takes all steps, and tells of each as it is done.
func Examine(ctx context.Context, p *Patient, tell func(Step)) []Step {
	var taken []Step
	blocked := make(blocks)
	for _, s := range steps {
		for _, step := range s.take(ctx, p, blocked) {
			taken = append(taken, step)
			tell(step)
		}
	}
	return taken
}

func (s step) take(ctx context.Context, p *Patient, blocked blocks) []Step {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	return s.look.take(ctx, s, p, blocked)
}

func (o once) take(ctx context.Context, s step, p *Patient, blocked blocks) []Step {
	found, waits := blocked.waits(s)
	if !waits {
		found = blocked.note(s, o(ctx, p))
	}
	return []Step{{Name: s.name, Finding: found}}
}

// blocks are steps that failed or wait for one: which one.
type blocks map[string]string

// waits reports whether a step waits for one that it needs, and then what is said of it.
func (b blocks) waits(s step) (Finding, bool) {
	for _, needed := range s.needs {
		if failed, ok := b[needed]; ok {
			b[s.name] = failed
			return skipped("until %q is mended", failed), true
		}
	}
	return Finding{}, false
}

// note takes in what was found in a step.
func (b blocks) note(s step, found Finding) Finding {
	if found.Status == Failed || found.ends {
		b[s.name] = s.name
	}
	return found
}

// Sound reports whether no step has failed.
func Sound(taken []Step) bool {
	return !slices.ContainsFunc(taken, func(s Step) bool { return s.Status == Failed })
}

func ok(format string, args ...any) Finding {
	return Finding{Status: OK, Text: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) Finding {
	return Finding{Status: Skipped, Text: fmt.Sprintf(format, args...)}
}

// failed and warning are to be completed with because.
func failed(format string, args ...any) Finding {
	return Finding{Status: Failed, Text: fmt.Sprintf(format, args...)}
}

func warning(format string, args ...any) Finding {
	return Finding{Status: Warning, Text: fmt.Sprintf(format, args...)}
}

// because completes a finding.
func (f Finding) because(cause, remedy string) Finding {
	f.Cause, f.Remedy = cause, remedy
	return f
}

// final says that what needs this step cannot be looked at.
func (f Finding) final() Finding {
	f.ends = true
	return f
}
