package ollamaadapter_test

import (
	"net/http"
	"strings"
	"testing"
)

// What a token permits narrows what the configuration does, under the names that
// clients use, and never widens it.
func TestTheModelsOfAUser(t *testing.T) {
	for _, test := range []struct {
		name, options string
		permitted     []string
		asked         string
		status        int
		lists         []string
	}{
		{"a model that both permit", "", []string{"m*"}, "m", 200, []string{"m:latest"}},
		{"one that the token does not name", "", []string{"jo/*"}, "m", 404, []string{"jo/n:7b"}},
		{"one that the configuration does not name", "models jo/*", []string{"*"}, "m", 404, []string{"jo/n:7b"}},
		{"a token that permits none", "", []string{}, "m", 404, nil},
		{"no word of models permits what the configuration does", "", nil, "m", 200, []string{"jo/n:7b", "m:latest"}},
		{"an alias is permitted by its own name", "models nothing\nalias gpt-4o m", []string{"gpt-4o"}, "gpt-4o", 200, []string{"gpt-4o"}},
		{"and not by that of its model", "models nothing\nalias gpt-4o m", []string{"m"}, "gpt-4o", 404, nil},
		{"the default is no way around", "default_model m", []string{"jo/*"}, "", 404, []string{"jo/n:7b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := start(t, parsed(t, "native on\n"+test.options), library...)
			var header []string
			if test.permitted != nil {
				header = []string{"Test-Models", strings.Join(test.permitted, " ")}
			}
			ask := func(method, path, body string) *http.Response {
				return g.do(t, t.Context(), method, path, body, header...)
			}
			body := strings.Replace(saying(""), `"model":"m",`, `"model":"`+test.asked+`",`, 1)
			if resp := ask(http.MethodPost, "/v1/chat/completions", body); resp.StatusCode != test.status {
				t.Errorf("chat: %s", resp.Status)
			}
			for _, path := range []string{"/v1/models", "/api/tags"} {
				list := read(t, ask(http.MethodGet, path, ""))
				if n := strings.Count(list, `"modified_at"`) + strings.Count(list, `"owned_by"`); n != len(test.lists) {
					t.Errorf("%s lists %d models: %s", path, n, list)
				}
				for _, name := range test.lists {
					if !strings.Contains(list, `"`+name+`"`) {
						t.Errorf("%s lacks %s: %s", path, name, list)
					}
				}
			}
			if resp := ask(http.MethodGet, "/v1/models/m", ""); (resp.StatusCode == 200) != (strings.Contains(strings.Join(test.lists, " "), "m:latest")) {
				t.Errorf("GET /v1/models/m: %s", resp.Status)
			}
		})
	}
}
