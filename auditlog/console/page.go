package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

//go:embed page
var files embed.FS

// part is one file of the page.
type part struct {
	content   []byte
	mediaType string
	tag       string // changes with the content
}

var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// parts is the page's files by their paths.
var parts = readParts()

func readParts() map[string]part {
	names, err := files.ReadDir("page")
	if err != nil {
		panic(err) // it is part of the program
	}
	read := make(map[string]part)
	for _, name := range names {
		content, err := files.ReadFile("page/" + name.Name())
		if err != nil {
			panic(err)
		}
		hash := sha256.Sum256(content)
		p := part{content, mediaTypes[path.Ext(name.Name())], `"` + hex.EncodeToString(hash[:8]) + `"`}
		if name.Name() == "index.html" {
			read["/"] = p
		} else {
			read["/"+name.Name()] = p
		}
	}
	return read
}

// secure lets the page do nothing but show itself: no script or style from elsewhere or
// in the midst of text, no frame around it, no HTML made of data.
func secure(header http.Header) {
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// servePart serves the page and its parts.
func (h *Handler) servePart(w http.ResponseWriter, r *http.Request) error {
	p, ok := parts[r.URL.EscapedPath()]
	if !ok {
		return caddyhttp.Error(http.StatusNotFound, openai.ErrorOf(http.StatusNotFound))
	}
	header := w.Header()
	header.Set("Cache-Control", "no-cache")
	header.Set("Etag", p.tag)
	if r.Header.Get("If-None-Match") == p.tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Type", p.mediaType)
	_, err := w.Write(p.content)
	return err
}
