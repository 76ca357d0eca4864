package auditlog

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTraceOfALogAsTheGatewayLeavesIt(t *testing.T) {
	g := newGatewayLog(t)
	stdout, stderr, code := auditRun(t, append([]string{"trace", "--conversation", "c-1"}, g.all()...)...)
	expectRun(t, stdout, stderr, code, 0, "15 requests: 15 answered", "tokens 75 in, 30 out", "r-2-9")
	stdout, stderr, code = auditRun(t, append([]string{"trace", "--json", "--conversation", "c-1"}, g.all()...)...)
	expectRun(t, stdout, stderr, code, 0, `"requests":15`)
	stdout, stderr, code = auditRun(t, append([]string{"trace"}, g.all()...)...)
	expectRun(t, stdout, stderr, code, 2, "--conversation is missing")
}

// An id that is mistyped is no conversation without requests.
func TestTraceOfAConversationThatIsNotThere(t *testing.T) {
	g := newGatewayLog(t)
	for _, args := range [][]string{{"trace"}, {"trace", "--json"}} {
		stdout, stderr, code := auditRun(t, append(append(args, "--conversation", "nope"), g.all()...)...)
		expectRun(t, stdout, stderr, code, 1)
		if !strings.Contains(stderr, `no request of the conversation "nope" is in these files`) {
			t.Errorf("%v: stderr is %s", args, stderr)
		}
	}
	stdout, stderr, code := auditRun(t, "trace", "--conversation", "nope", g.path+"x")
	expectRun(t, stdout, stderr, code, 2, "audit.logx: no such file")
}

func TestStatsOfALogAsTheGatewayLeavesIt(t *testing.T) {
	g := newGatewayLog(t)
	stdout, stderr, code := auditRun(t, append([]string{"stats"}, g.all()...)...)
	expectRun(t, stdout, stderr, code, 0, "bot    qwen   30        30 ")
	stdout, stderr, code = auditRun(t, append([]string{"stats", "--by", "hour", "--since", "2026-11-24T01:00:00Z", "--until", "2026-11-24T02:00:00Z"}, g.all()...)...)
	expectRun(t, stdout, stderr, code, 0, "2026-11-24T01:00Z  10 ")
	if strings.Contains(stdout, "T00:00Z") || strings.Contains(stdout, "T02:00Z") {
		t.Errorf("it counts too much:\n%s", stdout)
	}
	stdout, stderr, code = auditRun(t, append([]string{"stats", "--json", "--by", ""}, g.all()...)...)
	expectRun(t, stdout, stderr, code, 0, `"groups":[],"total":{"requests":30,`)
	stdout, stderr, code = auditRun(t, append([]string{"stats", "--by", "hour", "--max-groups", "1"}, g.all()...)...)
	expectRun(t, stdout, stderr, code, 0, "(others)", "more than 1 groups")
	for _, args := range [][]string{{"--by", "day"}, {"--since", "yesterday"}, {"--until", "-1h"}, {"--max-groups", "0"}, {"--since", "2026-11-24", "--until", "2026-11-24"}} {
		stdout, stderr, code = auditRun(t, append(append([]string{"stats"}, args...), g.path)...)
		expectRun(t, stdout, stderr, code, 2, args[len(args)-2])
	}
}

func TestLinesThatAreNoRecordsAreNamedAndNotCounted(t *testing.T) {
	const record = `{"@timestamp":"2026-11-24T08:00:00Z","http.request.id":"r","event.outcome":"success","event.reason":"ok","gen_ai.conversation.id":"c"}` + "\n"
	name := filepath.Join(t.TempDir(), "audit.log")
	put(t, name, record+"secret\x1b\n"+record+strings.Repeat("x", 2<<20)+"\n"+record+`{"half`)
	for _, args := range [][]string{{"stats", name}, {"trace", "--conversation", "c", name}} {
		stdout, stderr, code := auditRun(t, args...)
		expectRun(t, stdout, stderr, code, 1, "audit.log:2: ", "audit.log:4: the line is longer", "audit.log:6: the file ends within this line", "3 lines are no records")
		if !strings.Contains(stdout, "3") || strings.Contains(stderr, "secret") {
			t.Errorf("stdout:\n%s\nstderr:\n%s", stdout, stderr)
		}
	}
	stdout, stderr, code := auditRun(t, "stats", name, name+"x")
	expectRun(t, stdout, stderr, code, 2, name+"x: no such file", "total")
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "2026-11-23": now.Add(-32 * time.Hour), "24h": now.Add(-24 * time.Hour), "2026-11-24T09:00:00+01:00": now, "2026-11-24T08:00:00.5Z": now.Add(time.Second / 2),
	} {
		if got, err := parseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
