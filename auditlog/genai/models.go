package genai

import (
	"sync"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// Other is what all models are called that have no label of their own.
const Other = "other"

// Models gives models their labels, of which there must be few, though clients may ask
// for whatever names they invent. A model has a label of its own once it has answered: what
// clients only ask for takes no place from one that is there.
type Models struct {
	most int

	mu     sync.Mutex
	labels map[string]string // by the canonical name
}

// NewModels returns one that gives at most so many labels, besides Other.
func NewModels(most int) *Models { return &Models{most: most, labels: make(map[string]string)} }

// Label is that of the model that a request is for: how the model was called when it first
// answered. It is empty if the request names none.
func (m *Models) Label(rec *record.Record) string {
	if rec.Reason == record.ModelNotFound {
		return Other
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if name := rec.ResponseModel; name != "" {
		key := policy.Canonical(name)
		if _, has := m.labels[key]; !has && len(m.labels) < m.most {
			m.labels[key] = name
		}
		return m.given(key)
	}
	if rec.Model != "" {
		return m.given(policy.Canonical(rec.Model))
	}
	if rec.RequestModel != "" {
		return Other
	}
	return ""
}

func (m *Models) given(key string) string {
	if label, has := m.labels[key]; has {
		return label
	}
	return Other
}
