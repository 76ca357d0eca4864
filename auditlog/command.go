package auditlog

import (
	"errors"
	"io"

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
	exitFault      = 1 // the log is not as it was written, or has lines that are no records
	exitUnreadable = 2 // a file cannot be read, or the command is wrong
)

// exit is an error with the exit code that it ends the command with.
type exit struct {
	error
	code int
}

// runAudit is how the subcommands run: what fails without an exit code is unreadable.
func runAudit(run func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
			err := run(cmd, args)
			if fault, ok := errors.AsType[exit](err); ok {
				return fault.code, fault.error
			}
			if err != nil {
				return exitUnreadable, err
			}
			return 0, nil
		})(cmd, args)
	}
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
