package auditlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// foundHead is the head that a log is verified against, and what there is to say of it.
type foundHead struct {
	*chain.Head        // nil if there is none
	File        string // empty if there is none
	// Fault is what is wrong with the head or its signature, empty if nothing.
	Fault string
	// Signature says what is known of the signature.
	Signature string
	// Note says what cannot be told for want of a head.
	Note string
}

const noHead = "no head: that lines are missing at the end, or the oldest files, cannot be told"

// findHead finds the head that the options name, or that lies beside the log. args are
// the files as they were given, names those of them that have lines.
func (o verifyOptions) findHead(args, names []string) (h foundHead, err error) {
	if h.File = o.head; h.File == "" {
		if h.File, h.Note, err = headBeside(args, names); err != nil {
			return h, err
		}
	}
	if h.File == "" {
		if o.publicKey != "" {
			return h, errors.New("--public-key: there is no head whose signature to check; name it with --head")
		}
		return h, nil
	}
	text, err := os.ReadFile(h.File)
	if err != nil {
		return h, fmt.Errorf("reading the head: %w", err)
	}
	head := new(chain.Head)
	if err := json.Unmarshal(text, head); err != nil {
		h.Fault = fmt.Sprintf("it is not as it was written: %v", err)
		h.Note = noHead
		return h, nil
	}
	h.Head = head
	return h, h.checkSignature(o.publicKey)
}

func (h *foundHead) checkSignature(publicKey string) error {
	if publicKey == "" {
		h.Signature = "not signed"
		if len(h.Head.Signature) > 0 {
			h.Signature = "its signature is not checked: give --public-key"
		}
		return nil
	}
	public, err := readPublicKey(publicKey)
	if err != nil {
		return err
	}
	err = h.Head.Verify(public)
	switch {
	case errors.Is(err, chain.ErrOtherKey):
		h.Fault = fmt.Sprintf("it is signed with key %s, not with that of %s, %s; if the key was changed since or before, give the .pub of that time", h.Head.Key, publicKey, chain.Fingerprint(public))
		return nil
	case err != nil:
		h.Fault = err.Error()
		return nil
	}
	h.Signature = "its signature is right"
	return nil
}

// rotatedName is the name of a file that has been rotated.
var rotatedName = regexp.MustCompile(`-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z(\.[^./\\]*)?$`)

// liveName is the name of the file that the log was written to when it was the newest.
func liveName(name string) string {
	return rotatedName.ReplaceAllString(strings.TrimSuffix(name, ".gz"), "$1")
}

// headBeside finds the head beside the log, or says why there is none to use.
func headBeside(args, names []string) (head, note string, err error) {
	var heads []string
	note = noHead
	for _, name := range names {
		live := liveName(name)
		file := live + ".head"
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) || slices.Contains(heads, file) {
			continue
		}
		_, err := os.Stat(live)
		if err == nil && !slices.ContainsFunc(args, func(arg string) bool { return filepath.Clean(arg) == filepath.Clean(live) }) {
			note = fmt.Sprintf("%s is not among the files: that lines are missing at the end, or the oldest files, cannot be told", live)
			continue
		}
		heads = append(heads, file)
	}
	switch len(heads) {
	case 0:
		return "", note, nil
	case 1:
		return heads[0], "", nil
	default:
		return "", "", fmt.Errorf("these files are of more than one log (%s): verify one at a time", strings.Join(heads, ", "))
	}
}
