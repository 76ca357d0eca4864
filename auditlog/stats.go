package auditlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gateway18789/caddy-ollama/auditlog/stats"
)

// statsOptions are those of `caddy audit stats`.
type statsOptions struct {
	by, since, until string
	maxGroups        int
	asJSON           bool
}

func statsCommand() *cobra.Command {
	var o statsOptions
	cmd := &cobra.Command{
		Use:   "stats <file>... [--by user,model,hour] [--since <time>] [--until <time>] [--json]",
		Short: "Counts requests, errors, tokens and durations",
		Long: `
Counts, for each user and model, the requests and how they ended: answered; refused,
with what is the client's fault; errors, with what is not; unknown, when the client left
or the gateway was killed. Then tokens, and how long half of the requests took at most,
and 95 and 99 of a hundred, to 1 percent of what is told.

The files may be compressed, and in any order. A time is as 2026-11-24T08:00:00Z,
2026-11-24 (UTC), or 24h for so long ago; --until is not part of what is counted.

However long the log is, it takes no more memory: the groups beyond --max-groups are
counted as one, (others).

The exit code is 0; 1 if there are lines that are no records, which are named and left
out; 2 if a file cannot be read.`,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.by, "by", "user,model", "What to group by: user, model, hour (UTC); empty for nothing")
	flags.StringVar(&o.since, "since", "", "Count only requests that came at this time or later")
	flags.StringVar(&o.until, "until", "", "Count only requests that came before this time")
	flags.IntVar(&o.maxGroups, "max-groups", 10_000, "How many groups are told apart")
	flags.BoolVar(&o.asJSON, "json", false, "Print JSON instead of a table")
	return auditCommand(cmd, func(cmd *cobra.Command, args []string) error {
		options, err := o.parse(time.Now())
		if err != nil {
			return err
		}
		counted := stats.New(options)
		err = readEntries(cmd.ErrOrStderr(), args, counted.Add)
		if many := counted.TooMany(); many != "" {
			say(cmd.ErrOrStderr(), "%s", many)
		}
		write := counted.WriteTable
		if o.asJSON {
			write = counted.WriteJSON
		}
		return errors.Join(err, write(cmd.OutOrStdout()))
	})
}

func (o statsOptions) parse(now time.Time) (options stats.Options, err error) {
	if options.By, err = stats.ParseBy(o.by); err != nil {
		return options, fmt.Errorf("--by: %w", err)
	}
	if options.Since, err = parseTime(o.since, now); err != nil {
		return options, fmt.Errorf("--since: %w", err)
	}
	if options.Until, err = parseTime(o.until, now); err != nil {
		return options, fmt.Errorf("--until: %w", err)
	}
	if !options.Until.IsZero() && !options.Since.Before(options.Until) {
		return options, errors.New("--until must be later than --since")
	}
	if o.maxGroups < 1 {
		return options, errors.New("--max-groups must be at least 1")
	}
	options.MaxGroups = o.maxGroups
	return options, nil
}

// parseTime reads a time, a day, or a while ago. The empty text is no time.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 2026-11-24T08:00:00Z, 2026-11-24 or 24h", text)
}
