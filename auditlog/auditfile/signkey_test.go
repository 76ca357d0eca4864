package auditfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever starts a gateway on a host that is not prepared yet reads what to do.
func TestAKeyThatCannotBeMadeSaysWhatToDo(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, folder string)
		want    []string
	}{
		{"the folder is missing", func(*testing.T, string) {}, []string{"folder", "is missing: make it"}},
		{"the folder cannot be written", func(t *testing.T, folder string) {
			if os.Getuid() == 0 {
				t.Skip("root may write anywhere")
			}
			if err := os.Mkdir(folder, 0o500); err != nil {
				t.Fatal(err)
			}
		}, []string{"permission denied", "make it with `caddy jwt keygen --type ed25519 --out ", "audit.key`"}},
		{"only the public part is there", func(t *testing.T, folder string) {
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, "audit.key.pub"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"audit.key is missing", "audit.key.pub is there", "put that aside"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "etc")
			test.prepare(t, folder)
			_, err := signKey(filepath.Join(folder, "audit.key"))
			if err == nil {
				t.Fatal("a key was made")
			}
			for _, want := range append(test.want, folder) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\ndoes not say %s", err, want)
				}
			}
		})
	}
}
