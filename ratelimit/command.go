package ratelimit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "ip-throttle",
		Usage: "<command>",
		Short: "Lists, makes and lifts the blocks of ip_throttle in a running Caddy",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.PersistentFlags().String("address", "", "Address of the admin API, if it is not the usual one")
			cmd.PersistentFlags().StringP("config", "c", "", "Configuration file to read that address from")
			cmd.PersistentFlags().StringP("adapter", "a", "", "Adapter of that file, if its name does not tell")
			cmd.PersistentFlags().String("zone", "", "Zone, if there is more than one")
			cmd.AddCommand(listCommand(), blockCommand(), unblockCommand())
		},
	})
}

func listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists the clients that are blocked",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			blocks, err := call[[]ListedBlock](cmd, http.MethodGet, blocksPath+"?zone="+url.QueryEscape(flagOf(cmd, "zone")), nil)
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(blocks)
			}
			return printBlocks(cmd.OutOrStdout(), blocks)
		},
	}
	cmd.Flags().Bool("json", false, "Print JSON")
	return cmd
}

func blockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "block <client> <duration>",
		Short: "Blocks a client from now on",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := json.Marshal(ordered{Client: args[0], Duration: args[1], Zone: flagOf(cmd, "zone")})
			if err != nil {
				return err
			}
			made, err := call[ListedBlock](cmd, http.MethodPost, blocksPath, body)
			if err != nil {
				return err
			}
			return printBlocks(cmd.OutOrStdout(), []ListedBlock{made})
		},
	}
}

func unblockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unblock <client>",
		Short: "Lifts a client's block, and forgets what led to it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := call[struct{}](cmd, http.MethodDelete, unblockPath(args[0], flagOf(cmd, "zone")), nil)
			return err
		},
	}
}

// unblockPath is where a block is to be lifted. An empty zone is the only one.
func unblockPath(client, zone string) string {
	name := url.PathEscape(client)
	if name == "." || name == ".." { // which would be a folder
		name = strings.ReplaceAll(name, ".", "%2E")
	}
	return blocksPath + "/" + name + "?zone=" + url.QueryEscape(zone)
}

func flagOf(cmd *cobra.Command, name string) string {
	value, _ := cmd.Flags().GetString(name) // which is there
	return value
}

// call asks the running Caddy's admin API. An answer without content is T's zero value.
func call[T any](cmd *cobra.Command, method, path string, body []byte) (answer T, err error) {
	address, err := caddycmd.DetermineAdminAPIAddress(
		flagOf(cmd, "address"), nil, flagOf(cmd, "config"), flagOf(cmd, "adapter"))
	if err != nil {
		return answer, fmt.Errorf("finding the admin API: %w", err)
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	response, err := caddycmd.AdminAPIRequest(address, method, path, nil, reader)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return answer, nil
	}
	return answer, json.NewDecoder(response.Body).Decode(&answer)
}

func printBlocks(w io.Writer, blocks []ListedBlock) error {
	if len(blocks) == 0 {
		_, err := fmt.Fprintln(w, "nobody is blocked")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ZONE\tCLIENT\tLEFT\tUNTIL\tCAUSE\tREPEATS") // Flush tells
	for _, b := range blocks {
		_, _ = fmt.Fprintf(table, "%s\t%q\t%s\t%s\t%s\t%d\n", b.Zone, b.Client,
			time.Duration(b.SecondsLeft)*time.Second, b.Until.Local().Format(time.DateTime), b.Cause, b.Repeats)
	}
	return table.Flush()
}
