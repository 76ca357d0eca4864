package checkup

import (
	"context"
	"errors"
	"io/fs"
)

func checkAudit(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("there is no gateway to look at")
	}
	if p.latest == nil {
		return skipped("no request was answered")
	}
	id := p.latest.Header.Get("X-Request-Id")
	c := p.gatewayConfigured()
	switch {
	case id == "":
		return failed("answers have no X-Request-Id, so nobody records them").because(
			"audit_log is missing, or not the outermost handler.", "Put audit_log first into the site's route.")
	case c == nil:
		return ok("answers have an X-Request-Id; where the log is, the gateway's own --config tells")
	case !c.Audit:
		return failed("the configuration has no audit_log").because(
			"The running gateway has another configuration than this one.", "`caddy reload` with the right one.")
	case c.AuditFile == "":
		return skipped("records go to %s, not to a file", orElse(c.AuditOutput, "Caddy's default log"))
	}
	found, err := p.Host.LogHas(ctx, c.AuditFile, id)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return skipped("%s must be read by who runs the gateway: run this as that user", c.AuditFile)
	case errors.Is(err, fs.ErrNotExist):
		return failed("there is no %s", c.AuditFile).because(
			"The running gateway has another configuration than this one, or runs on another host.",
			"`caddy reload` with this one, or run this on the gateway's host.")
	case err != nil:
		return failed("%s cannot be read: %v", c.AuditFile, err).because("The disk fails, perhaps.", "Look at `dmesg`.")
	case !found:
		return failed("%s has no record of request %s", c.AuditFile, id).because(
			"The disk is full, or the running gateway has another configuration than this one.",
			"Look at `df` and the gateway's log, `caddy reload`, and `caddy audit verify` the log.")
	}
	return ok("request %s is recorded in %s", id, c.AuditFile)
}
