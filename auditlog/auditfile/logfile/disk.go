package logfile

import "os"

// File is what a Log needs of an open file. Tests put disks in place that fail.
type File interface {
	Write([]byte) (int, error)
	WriteAt([]byte, int64) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

func openFile(name string, flag int) (File, error) {
	return os.OpenFile(name, flag, 0o600)
}

// syncFolder makes renamed and new files of a folder last through a power cut. Where
// folders cannot be synced there is nothing to be done about it.
func syncFolder(name string) {
	if folder, err := os.Open(name); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}
