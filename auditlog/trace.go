package auditlog

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/auditlog/trace"
)

func traceCommand() *cobra.Command {
	var conversation string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "trace --conversation <id> <file>... [--json]",
		Short: "Tells the story of one conversation",
		Long: `
Lists all requests of a conversation in the order in which they came, and what they
come to. The conversation is what X-Conversation-Id says, or gen_ai.conversation.id in
the audit log. The files may be compressed.

The exit code is 0; 1 if there is no such conversation, or if there are lines that are
no records, which are named and left out; 2 if a file cannot be read.`,
	}
	cmd.Flags().StringVar(&conversation, "conversation", "", "The id of the conversation")
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print JSON instead of a table")
	return auditCommand(cmd, func(cmd *cobra.Command, args []string) error {
		if conversation == "" {
			return errors.New("--conversation is missing: name the conversation to trace")
		}
		story := trace.New(conversation)
		err := readEntries(cmd.ErrOrStderr(), args, story.Add)
		if err == nil && len(story.Requests) == 0 {
			err = fault{fmt.Errorf("no request of the conversation %q is in these files", conversation)}
		}
		story.Sort()
		write := story.WriteTable
		if asJSON {
			write = story.WriteJSON
		}
		return errors.Join(err, write(cmd.OutOrStdout()))
	})
}
