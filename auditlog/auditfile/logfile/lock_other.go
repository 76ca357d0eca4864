//go:build !unix

package logfile

import "os"

// lock cannot keep other processes away on this system.
func lock(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
}
