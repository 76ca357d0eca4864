package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Without a listener that is given, Linux can be told to move who waits in the queue of a
// listener that is closed to the one that follows. That is a setting of a whole network, so
// the changes are made in one of its own, by this binary.
func TestChangesLoseNothingIfTheKernelMigrates(t *testing.T) {
	const setting = "/proc/sys/net/ipv4/tcp_migrate_req"
	if _, err := os.Stat(setting); err != nil {
		t.Skip("this kernel cannot: Linux can from 5.14 on")
	}
	network := newNetns(t)
	network.run("sh", "-c", "echo 1 > "+setting)
	again := network.command(exec.Command(os.Args[0], "-test.run=^TestChangesAtNoonAreNotNoticed$", "-test.v", "-test.short"))
	again.Env = append(os.Environ(), kernelMigrates+"=1", "CADDY_OLLAMA_BIN="+binary(t))
	output, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: TestChangesAtNoonAreNotNoticed") {
		t.Errorf("%v\n%s", err, output)
	}
	for line := range strings.Lines(string(output)) {
		if strings.Contains(line, "the gateway lost") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
