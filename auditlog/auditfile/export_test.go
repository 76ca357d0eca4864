package auditfile

import "github.com/gateway18789/caddy-ollama/auditlog/auditfile/logfile"

// SetDisk puts a disk in place until the function it returns is called.
func SetDisk(open func(string, int) (logfile.File, error)) (undo func()) {
	openFile = open
	return func() { openFile = nil }
}

// Open tells whether a log is open.
func Open(path string) bool {
	for _, state := range States() {
		if state.Path == path {
			return true
		}
	}
	return false
}
