package genai_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/genai"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// answered is the record of a request that a model has answered.
func answered(model string) *record.Record {
	return &record.Record{Operation: "chat", Reason: record.OK, RequestModel: model, Model: model, ResponseModel: model}
}

func TestWhichLabelAModelHas(t *testing.T) {
	models := genai.NewModels(2)
	models.Label(answered("qwen3:32b"))
	models.Label(answered("llama3"))
	for _, test := range []struct {
		name string
		rec  record.Record
		want string
	}{
		{"its own, if it has answered", *answered("qwen3:32b"), "qwen3:32b"},
		{"the same in whatever letters it is asked for", *answered("QWEN3:32B"), "qwen3:32b"},
		{"the same with the tag that is meant without one", *answered("llama3:latest"), "llama3"},
		{"its own by whatever name it is asked for", record.Record{RequestModel: "gpt-4", Model: "qwen3:32b", ResponseModel: "qwen3:32b"}, "qwen3:32b"},
		{"its own when it fails later", record.Record{Reason: record.UpstreamError, RequestModel: "gpt-4", Model: "qwen3:32b"}, "qwen3:32b"},
		{"none for one more", *answered("gemma"), genai.Other},
		{"none for one that has never answered", record.Record{Reason: record.UpstreamError, RequestModel: "phi", Model: "phi"}, genai.Other},
		{"none for one that is refused", record.Record{Reason: record.ModelNotFound, RequestModel: "qwen3:32b", Model: "qwen3:32b"}, genai.Other},
		{"none if it is not known what a name means", record.Record{Reason: record.BadRequest, RequestModel: "qwen3:32b"}, genai.Other},
		{"nothing if no model is named", record.Record{Reason: record.BadRequest}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := models.Label(&test.rec); got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}

// Whatever clients ask for, the models that are there keep their labels.
func TestInventedNamesTakeNoLabels(t *testing.T) {
	models := genai.NewModels(3)
	for n := range 10_000 {
		invented := fmt.Sprintf("invented-%d", n)
		for _, reason := range []string{record.ModelNotFound, record.UpstreamError, record.ClientGone, record.BadRequest} {
			if got := models.Label(&record.Record{Reason: reason, RequestModel: invented, Model: invented}); got != genai.Other {
				t.Fatalf("%s: %q has a label, %q", reason, invented, got)
			}
		}
	}
	if got := models.Label(answered("real")); got != "real" {
		t.Errorf("the first model that is there is called %q", got)
	}
}

func TestThereAreOnlySoManyLabels(t *testing.T) {
	models, seen := genai.NewModels(100), sync.Map{}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for n := range 2500 {
				seen.Store(models.Label(answered(fmt.Sprintf("model-%d-%d", worker, n))), true)
			}
		})
	}
	all.Wait()
	labels := 0
	seen.Range(func(label, _ any) bool {
		labels++
		if !strings.HasPrefix(label.(string), "model-") && label != genai.Other {
			t.Errorf("there is a label %q", label)
		}
		return true
	})
	if labels != 101 {
		t.Errorf("10000 models have %d labels, want 100 and %s", labels, genai.Other)
	}
}
