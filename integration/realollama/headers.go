package realollama

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// The llama.cpp part of Ollama v0.17.4 includes four header files from a folder
// named "vendor", and the zip of a Go module leaves such folders out. These
// modules have the same files elsewhere.
const (
	olderOllama = "github.com/ollama/ollama@v0.6.5" // still had them beside the code
	malgo       = "github.com/gen2brain/malgo@v0.11.24"
)

// borrowedHeaders says which file of which module stands in for which header.
var borrowedHeaders = []struct{ header, module, file string }{
	{"nlohmann/json.hpp", olderOllama, "llama/llama.cpp/common/json.hpp"},
	{"stb/stb_image.h", olderOllama, "llama/llama.cpp/common/stb_image.h"},
	{"miniaudio/miniaudio.h", malgo, "miniaudio.h"},
}

// writeHeaders puts the missing headers into the folder headers. The go
// commands that download them run in the folder work.
func writeHeaders(ctx context.Context, work, headers string) error {
	folders := map[string]string{}
	for _, h := range borrowedHeaders {
		if folders[h.module] == "" {
			folder, err := download(ctx, work, h.module)
			if err != nil {
				return err
			}
			folders[h.module] = folder
		}
		text, err := os.ReadFile(filepath.Join(folders[h.module], filepath.FromSlash(h.file)))
		if err != nil {
			return fmt.Errorf("read the header %s from %s: %w", h.header, h.module, err)
		}
		if err := writeHeader(headers, h.header, text); err != nil {
			return err
		}
	}
	// Forward declarations only; the full header declares the same.
	return writeHeader(headers, "nlohmann/json_fwd.hpp", []byte("#include \"json.hpp\"\n"))
}

func writeHeader(headers, name string, text []byte) error {
	path := filepath.Join(headers, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make a folder for the header %s: %w", name, err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write the header %s: %w", name, err)
	}
	return nil
}

// download fetches a module, unless Go has it already, and returns its folder.
// Failing that, Ollama's own module cannot be fetched either, so the error is
// an *Unavailable.
func download(ctx context.Context, work, module string) (string, error) {
	out, err := goCommand(ctx, work, "mod", "download", "-json", module).Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("download %s: %w", module, context.Cause(ctx))
	}
	// On failure too, go prints the JSON object, with the reason in it.
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr != nil && err == nil {
		err = jsonErr
	}
	if answer.Error != "" {
		err = fmt.Errorf("%s", answer.Error)
	}
	if err != nil {
		return "", &Unavailable{Reason: fmt.Sprintf(
			"building ollama needs %s, which cannot be downloaded (%v); allow it, or set OLLAMA_BIN to a binary", module, err)}
	}
	return answer.Dir, nil
}
