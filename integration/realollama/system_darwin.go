package realollama

import "syscall"

// endWithParent does nothing: macOS has no signal for a parent's death.
func endWithParent(*syscall.SysProcAttr) {}
