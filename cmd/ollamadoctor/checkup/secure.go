package checkup

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// soon is how long before its end a certificate is told of.
const soon = 14 * 24 * time.Hour

func checkReachable(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("neither --url nor --config names a gateway")
	}
	err := p.Gateway.Connect(ctx)
	var unknown *net.DNSError
	call, _ := errors.AsType[*os.SyscallError](err)
	switch {
	case err == nil:
		return ok("%s takes connections", p.GatewayAddress)
	case errors.As(err, &unknown):
		return failed("the name of %s is not known", p.GatewayAddress).because(
			"It is not in the DNS that this host asks.", "Correct the name, or say --connect <address:port>.")
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed("nothing listens at %s", p.GatewayAddress).because(
			"The gateway is not running, or listens on another port or address.",
			"Look at `systemctl status caddy-ollama` and its journal; `caddy run` says why it does not start.")
	case call != nil && call.Syscall == "bind": // to the address of --from, before anything is sent
		return failed("no connection to %s: %v", p.GatewayAddress, err).because(
			"--from is no address of this host.", "Say --from with one that `ip addr` shows here, or leave it out.")
	}
	return failed("no connection to %s: %v", p.GatewayAddress, err).because(
		"A firewall stands in between, or the host is down.", "Open port "+portOf(p.GatewayAddress)+" for this host.")
}

func checkServerCertificate(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("there is no gateway to look at")
	}
	chain, err := p.Gateway.Handshake(ctx)
	if err != nil {
		switch text := err.Error(); {
		case strings.Contains(text, "does not look like a TLS handshake"):
			return failed("%s speaks no TLS", p.GatewayAddress).because(
				"The site is written with http://, or another program has the port.",
				"Write the site without http:// and with `tls <certificate> <key>`.")
		case strings.Contains(text, "remote error: tls: "):
			return failed("the gateway breaks the TLS handshake off: %v", err).because(
				"It has no certificate for the name "+p.GatewayName+", or none at all.",
				"Give the site in the Caddyfile that name, or name it right in --url.")
		}
		return failed("no TLS with %s: %v", p.GatewayAddress, err).because(
			"Something in between breaks the connection off.", "Look at the gateway's log, and at firewalls and proxies in between.")
	}
	now := p.Host.Now()
	leaf := chain[0]
	err = p.Gateway.Trust(chain)
	var (
		hostname x509.HostnameError
		unknown  x509.UnknownAuthorityError
	)
	switch {
	case now.After(leaf.NotAfter):
		return failed("the server's certificate ended %s ago", about(now.Sub(leaf.NotAfter))).because(
			"It was not renewed, or the gateway has not read the new one.",
			"Renew it, then `caddy reload --force`: the configuration itself is unchanged.")
	case now.Before(leaf.NotBefore):
		return failed("the server's certificate begins only in %s", about(leaf.NotBefore.Sub(now))).because(
			"A clock is wrong, here or where it was made.", "Set the clocks by NTP.")
	case errors.As(err, &hostname):
		return failed("the server's certificate is not for %s but for %s", p.GatewayName, orElse(strings.Join(leaf.DNSNames, ", "), "no name")).because(
			"The URL has another name than the certificate, or it was made without subjectAltName.",
			"Use a name of the certificate in the URL, or have one made for this name.")
	case errors.As(err, &unknown):
		return failed("the server's certificate is signed by a CA that is not trusted here: %q", leaf.Issuer.CommonName).because(
			"It is another CA than the one given, or the chain lacks an intermediate.",
			"Name the CA with --cacert, and put intermediates behind the certificate in the same file.")
	case err != nil:
		return failed("the server's certificate is not good: %v", err).because(
			"A certificate of the chain is not made for this.", "Have the certificate made for a server (serverAuth), by a CA that is one.")
	case leaf.NotAfter.Sub(now) < soon && leaf.NotAfter.Sub(leaf.NotBefore) > 2*soon:
		return warning("good for %s, but it ends in %s", p.GatewayName, about(leaf.NotAfter.Sub(now))).because(
			"It is to be renewed.", "Renew it, then `caddy reload --force`.")
	}
	return ok("good for %s, until %s", p.GatewayName, leaf.NotAfter.UTC().Format(time.DateOnly))
}

func checkRedirect(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("there is no gateway to look at")
	}
	reply, err := p.Gateway.Plainly(ctx)
	remedy := "Put `listener_wrappers { http_redirect; tls }` (a line each) into the `servers` block of the Caddyfile."
	switch {
	case err != nil:
		return failed("plain http gets no answer: %v", err).because(
			"The wrapper that redirects is missing.", remedy)
	case reply.Status == http.StatusPermanentRedirect || reply.Status == http.StatusMovedPermanently:
		if !strings.HasPrefix(reply.Header.Get("Location"), "https://") {
			return failed("plain http is redirected, but not to https").because(
				"A rule of the site's own comes first.", remedy)
		}
		return ok("plain http is sent to https (%d)", reply.Status)
	case reply.Status == http.StatusBadRequest && p.inner():
		return ok("plain http is refused, and no browser comes here")
	case reply.Status == http.StatusBadRequest:
		return failed("plain http is refused, not sent to https").because(
			"The wrapper http_redirect is missing, or stands after tls.", remedy)
	}
	return failed("plain http is answered %d", reply.Status).because(
		"The port serves plain http, where tokens can be read on the way.", remedy)
}

func checkClientCertificate(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("there is no gateway to look at")
	}
	now := p.Host.Now()
	if c := p.Certificate; c != nil {
		switch {
		case now.After(c.NotAfter):
			return failed("the client certificate ended %s ago", about(now.Sub(c.NotAfter))).because(
				"It was not renewed.", "Have the CA make a new one.")
		case now.Before(c.NotBefore):
			return failed("the client certificate begins only in %s", about(c.NotBefore.Sub(now))).because(
				"A clock is wrong, here or where it was made.", "Set the clocks by NTP.")
		case len(c.ExtKeyUsage) > 0 && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny):
			return failed("the client certificate is not made for clients").because(
				"It is a server's, perhaps.", "Have the CA make one with extendedKeyUsage clientAuth.")
		}
	}
	_, err := p.ask(ctx)
	switch {
	case err == nil && p.Certificate == nil:
		return skipped("none is given, and the gateway asks for none")
	case err == nil:
		return ok("%s is let in, until %s", p.Certificate.Subject, p.Certificate.NotAfter.UTC().Format(time.DateOnly))
	case !strings.Contains(err.Error(), "remote error: tls: "):
		return failed("the gateway takes the connection, but gives no answer: %v", err).because(
			"A rule with `abort` ends it, such as one for addresses that are not on the allow-list; or the gateway hangs.",
			"Look at the gateway's log; use `error … 403` in place of `abort`, which is answered and recorded.")
	case p.Certificate == nil:
		return failed("the gateway wants a client certificate, and none is given").because(
			"It lets nobody in without one.", "Name one that its CA has signed with --cert and --key.")
	}
	return failed("the gateway refuses the client certificate %s: %v", p.Certificate.Subject, err).because(
		"It is signed by another CA than the one in trust_pool ("+p.Certificate.Issuer.String()+"), or the gateway has not read the CA's new file.",
		"Take a certificate of that CA, or add this CA to the file that trust_pool names and `caddy reload --force`.")
}

func checkNoCertificate(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("there is no gateway to look at")
	}
	if p.Certificate == nil {
		return skipped("no client certificate is given to compare with")
	}
	reply, err := p.Gateway.Models(ctx, Credentials{})
	if err == nil {
		return failed("who has no client certificate is answered %d", reply.Status).because(
			"client_auth is missing, or its mode is not require_and_verify; or another site of the port has none.",
			"Put `client_auth { mode require_and_verify; trust_pool file <ca> }` (a line each) into each site's tls.")
	}
	if !strings.Contains(err.Error(), "remote error: tls: ") {
		return warning("who has no client certificate gets no answer: %v", err).because(
			"The connection is ended some other way than by TLS.", "Look at the gateway's log.")
	}
	return ok("who has none is refused")
}

// about is a duration as people say it.
func about(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.Round(time.Second).String()
}
