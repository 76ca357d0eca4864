package auditlog

import (
	"errors"
	"io"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/auditlog/lines"
	"github.com/gateway18789/caddy-ollama/auditlog/visible"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "audit",
		Usage: "<command>",
		Short: "Verifies and reads audit logs",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(verifyCommand(), traceCommand(), statsCommand())
		},
	})
}

// Exit codes of `caddy audit`.
const (
	exitFault      = 1 // the log is not as it was written, has lines that are no records, or not what is searched
	exitUnreadable = 2 // a file cannot be read, or the command is wrong
)

// fault is an error that ends the command with exitFault. All others end it with
// exitUnreadable, wrong arguments too: a script must not take them for a finding.
type fault struct{ error }

// auditCommand makes a subcommand of `caddy audit` that reads files.
func auditCommand(cmd *cobra.Command, run func(cmd *cobra.Command, files []string) error) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, files []string) error {
		if len(files) == 0 {
			return ending(cmd, errors.New("no file is named"))
		}
		return nil
	}
	cmd.SetFlagErrorFunc(ending)
	cmd.RunE = func(cmd *cobra.Command, files []string) error { return ending(cmd, run(cmd, files)) }
	return cmd
}

// ending is how the command ends after an error: with its exit code.
func ending(cmd *cobra.Command, err error) error {
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		found, isFault := errors.AsType[fault](err)
		switch {
		case err == nil:
			return caddy.ExitCodeSuccess, nil
		case isFault:
			return exitFault, found.error
		default:
			return exitUnreadable, err
		}
	})(cmd, nil)
}

// chooseFiles are the files to read; the others are told.
func chooseFiles(stderr io.Writer, names []string) ([]string, error) {
	chosen, leftOut := lines.Choose(names)
	for _, l := range leftOut {
		say(stderr, "%s is left out: %s", l.File, l.Why)
	}
	if len(chosen) == 0 {
		return nil, errors.New("no file with lines of an audit log is named")
	}
	return chosen, nil
}

// shown is a name that is safe to print.
func shown(name string) string { return visible.Text(name) }
