// Package dockerlint has BuildKit's own linter, that of `docker build --check`, look at our
// Dockerfile. It is a module of its own, so that nobody else needs BuildKit.
package dockerlint

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// noRegistry knows of every image that it is there, and asks nobody.
type noRegistry struct{}

func (noRegistry) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config := []byte(`{"architecture":"amd64","os":"linux","config":{}}`)
	return ref, digest.FromBytes(config), config, nil
}

// lint is what BuildKit finds in a Dockerfile, and the image that it would make of it.
func lint(t *testing.T, dockerfile string) (found []string, user string, entry []string) {
	t.Helper()
	options := dockerfile2llb.ConvertOpt{
		MetaResolver:   noRegistry{},
		TargetPlatform: &ocispecs.Platform{OS: "linux", Architecture: "amd64"},
		Warn: func(rule, _, _, message string, _ []parser.Range) {
			found = append(found, fmt.Sprintf("%s: %s", rule, message))
		},
	}
	options.LinterConfig = &linter.Config{ExperimentalAll: true}
	result, err := dockerfile2llb.Dockerfile2LLB(t.Context(), []byte(dockerfile), options)
	if err != nil {
		return append(found, err.Error()), "", nil
	}
	return found, result.Image.Config.User, result.Image.Config.Entrypoint
}

func TestBuildKitFindsNothingWrongWithTheDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../caddyfile-examples/docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	dockerfile := string(text)
	found, user, entry := lint(t, dockerfile)
	for _, finding := range found {
		t.Error(finding)
	}
	if user != "65532:65532" || len(entry) != 1 || entry[0] != "/usr/bin/caddy" {
		t.Errorf("the image would run %q as %q", entry, user)
	}
	for _, test := range []struct{ name, old, new, says string }{
		{"an instruction that is none", "WORKDIR /src", "WORKDIRS /src", "unknown instruction"},
		{"a flag that is none", "COPY --from=build", "COPY --form=build", "unknown flag"},
		{"a shell where there is none", `ENTRYPOINT ["/usr/bin/caddy"]`, "ENTRYPOINT /usr/bin/caddy", "JSONArgsRecommended"},
		{"words in two cases", "AS build", "as build", "FromAsCasing"},
	} {
		if !strings.Contains(dockerfile, test.old) {
			t.Fatalf("the Dockerfile does not say %q", test.old)
		}
		found, _, _ := lint(t, strings.Replace(dockerfile, test.old, test.new, 1))
		if !strings.Contains(strings.Join(found, "\n"), test.says) {
			t.Errorf("%s: it finds %q", test.name, found)
		}
	}
}
