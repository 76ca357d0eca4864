package logfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// headEvery is how long a line may be without a head that covers it. A line that is
// written as the head is being made durable waits for the next, and both take no more
// than a second.
const headEvery = 500 * time.Millisecond

// headKeeper is what there is to know of the head's file.
type headKeeper struct {
	mu    sync.Mutex
	first uint64        // number of the first line that is kept
	last  atomic.Uint64 // number of the line that the file tells of
}

func (l *Log) headFile() string { return l.Path + ".head" }

// readHead reads the head. Without one it is nil.
func readHead(name string) (*chain.Head, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	head := new(chain.Head)
	if err := json.Unmarshal(text, head); err != nil {
		return nil, fmt.Errorf("the head cannot be read: %w", err)
	}
	return head, nil
}

// writeHead makes the lines that there are durable, and then says so in the head.
func (l *Log) writeHead() error {
	l.head.mu.Lock()
	defer l.head.mu.Unlock()
	return l.writeHeadFrom(l.head.first)
}

// writeHeadFrom writes a head that begins with the given line.
func (l *Log) writeHeadFrom(first uint64) error {
	o := l.options.Load()
	l.mu.Lock()
	link := l.link
	l.mu.Unlock()
	if o.durable() {
		if err := l.syncTo(link.Sequence); err != nil {
			return err
		}
	}
	head := chain.Head{First: first, Link: link, Time: time.Now()}
	if o.SignKey != nil {
		head.Sign(o.SignKey)
	}
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if err := replaceFile(l.headFile(), append(text, '\n'), o.durable()); err != nil {
		return fmt.Errorf("writing the head: %w", err)
	}
	l.head.first = first
	l.head.last.Store(link.Sequence)
	return nil
}

// replaceFile puts a file in place whole.
func replaceFile(name string, content []byte, durable bool) error {
	temporary := name + ".tmp"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil && durable {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	if err := os.Rename(temporary, name); err != nil {
		return err
	}
	if durable {
		syncFolder(filepath.Dir(name))
	}
	return nil
}
