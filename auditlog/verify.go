package auditlog

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/auditlog/verify"
)

// verifyOptions are those of `caddy audit verify`.
type verifyOptions struct {
	head, publicKey string
	most            int
	asJSON          bool
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify <file>... [--head <file>] [--public-key <file>] [--most <n>] [--json]",
		Short: "Tells whether an audit log is the one that was written",
		Long: `
Follows the chain of an audit log that audit_file has written, through all of its files,
and names each place where a line was changed, deleted, added or moved. The files are
given in any order, compressed or not. Name all of them: what is not there is missing.

That lines at the end are missing, or the oldest files, only the head can tell. It is
the file .head beside the log, unless --head names a copy that was kept elsewhere, which
is better: who can change the log can change what lies beside it. With --public-key
(the .pub file of caddy jwt keygen --type ed25519) the head must be signed with that key.

A file that is rotated while this runs may seem to be missing; run it again then.

The exit code is 0 if the log is sound, 1 if not, and 2 if that cannot be told because a
file cannot be read.`,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.head, "head", "", "The log's head (default <log>.head, if it is there)")
	flags.StringVar(&o.publicKey, "public-key", "", "File with the Ed25519 public key, in PEM form, of the key that signs the head")
	flags.IntVar(&o.most, "most", 20, "How many places to name at most")
	flags.BoolVar(&o.asJSON, "json", false, "Print JSON instead of text")
	return auditCommand(cmd, func(cmd *cobra.Command, args []string) error {
		stdout, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
		if o.most < 1 {
			return errors.New("--most must be at least 1")
		}
		names, err := chooseFiles(stderr, args)
		if err != nil {
			return err
		}
		head, err := o.findHead(args, names)
		if err != nil {
			return err
		}
		bar := newProgress(stderr, names)
		report, unreadable := verify.Files(verify.Order(names), verify.Options{Head: head.Head, Limit: o.most, Progress: bar.show})
		bar.clear()
		result := newVerdict(report, head, unreadable)
		write := result.writeText
		if o.asJSON {
			write = result.writeJSON
		}
		if err := errors.Join(unreadable, write(stdout)); err != nil {
			return err
		}
		if result.Verdict == tampered {
			return fault{errors.New("the audit log is not as it was written")}
		}
		return nil
	})
}

// readPublicKey reads the one Ed25519 public key of a file in PEM form.
func readPublicKey(name string) (ed25519.PublicKey, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the public key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("the public key in %s: it is no public key in PEM form; caddy jwt keygen --type ed25519 writes one, with .pub behind its name", name)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the public key in %s: %w", name, err)
	}
	public, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the public key in %s is none of Ed25519", name)
	}
	return public, nil
}
