package ollamadoctor

import (
	"encoding/json"
	"strings"
)

// upstreams are where the first reverse_proxy goes, behind the adapter or the minter.
func (s site) upstreams() (dials []string) {
	var proxy struct {
		Upstreams []struct {
			Dial string `json:"dial"`
		} `json:"upstreams"`
	}
	if h := s.proxy(); h == nil || json.Unmarshal(h.raw, &proxy) != nil {
		return nil
	}
	for _, u := range proxy.Upstreams {
		if !strings.Contains(u.Dial, "{") {
			dials = append(dials, u.Dial)
		}
	}
	return dials
}

func (s site) proxy() *handler {
	behind := s.first("ollama_adapter") == nil && s.first("jwt_mint") == nil // anywhere
	for i := range s.handlers {
		switch s.handlers[i].Name {
		case "ollama_adapter", "jwt_mint":
			behind = true
		case "reverse_proxy":
			if behind {
				return &s.handlers[i]
			}
		}
	}
	return nil
}

// transport is how a sidecar comes to its gateway.
type transport struct {
	Transport struct {
		TLS struct {
			CA struct {
				PEMFiles []string `json:"pem_files"`
			} `json:"ca"`
			Certificate string `json:"client_certificate_file"`
			Key         string `json:"client_certificate_key_file"`
			ServerName  string `json:"server_name"`
		} `json:"tls"`
	} `json:"transport"`
}

func (s site) transport() (t transport) {
	if h := s.proxy(); h != nil {
		_ = json.Unmarshal(h.raw, &t) // it may have another transport
	}
	return t
}

// secured reports whether the upstream is reached by TLS.
func (s site) secured() bool {
	var proxy struct {
		Transport struct {
			TLS *struct{} `json:"tls"`
		} `json:"transport"`
	}
	h := s.proxy()
	return h != nil && json.Unmarshal(h.raw, &proxy) == nil && proxy.Transport.TLS != nil
}

// byModel reports whether, of several, one that has the model gets the request.
func (s site) byModel() bool {
	var proxy struct {
		LoadBalancing struct {
			Selection struct {
				Policy string `json:"policy"`
			} `json:"selection_policy"`
		} `json:"load_balancing"`
	}
	h := s.proxy()
	return h != nil && json.Unmarshal(h.raw, &proxy) == nil && proxy.LoadBalancing.Selection.Policy == "ollama_model"
}
