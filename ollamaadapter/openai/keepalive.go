package openai

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// KeepAlive is Ollama's keep_alive as clients send it: a number of seconds or a
// duration such as "5m"; negative is for ever. Nil seconds: not given.
type KeepAlive struct{ Seconds *float64 }

// UnmarshalJSONFrom reads both forms.
func (k *KeepAlive) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case 'n':
		return dec.SkipValue()
	case '"':
		var text string
		if err := json.UnmarshalDecode(dec, &text); err != nil {
			return err
		}
		duration, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("no duration")
		}
		seconds := duration.Seconds()
		k.Seconds = &seconds
		return nil
	default:
		k.Seconds = new(float64)
		return json.UnmarshalDecode(dec, k.Seconds)
	}
}
