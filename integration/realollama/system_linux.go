package realollama

import "syscall"

// endWithParent asks the kernel to end the process when its parent dies.
// Ollama ends its runners itself when it gets this signal.
func endWithParent(attributes *syscall.SysProcAttr) {
	attributes.Pdeathsig = syscall.SIGTERM
}
