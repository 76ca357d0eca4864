package ollama

import (
	"strconv"
	"strings"
)

// Features is what an Ollama understands, by its version. What an older one does
// not know it may ignore, or refuse with a 400; so it must not be sent.
type Features struct {
	TypeLists      bool // a tool's `"type": ["string", "null"]`, since 0.6.6
	SchemaFormat   bool // `format` with a JSON schema, since 0.5.0
	TellsVision    bool // the capability of models with a projector, too (#10509), since 0.7.0 at the latest
	ToolStreams    bool // streams with tool calls, since 0.8.0
	Think          bool // `think` and message.thinking, since 0.9.0
	ThinkLevels    bool // `think: "low"` for every model, since 0.17.7; for gpt-oss since 0.11.0
	ThinkMax       bool // `think: "max"`, since 0.22.0
	AnyOf          bool // a tool's anyOf, since 0.11.3
	Truncate       bool // `truncate: false`, and real statuses for early errors, since 0.12.6
	Logprobs       bool // since 0.12.11
	NestedRequired bool // a tool's `required` below the top, since 0.20.0
}

// Newest has everything. It stands for a version that cannot be told, such as
// that of a build from source (0.0.0).
var Newest = FeaturesOf("")

// FeaturesOf tells the features of a version such as 0.17.4 or 0.33.0-rc2.
func FeaturesOf(version string) Features {
	v := parseVersion(version)
	since := func(minor, patch int) bool {
		return v == [3]int{} || v[0] > 0 || v[1] > minor || v[1] == minor && v[2] >= patch
	}
	return Features{
		SchemaFormat:   since(5, 0),
		TypeLists:      since(6, 6),
		TellsVision:    since(7, 0),
		ToolStreams:    since(8, 0),
		Think:          since(9, 0),
		AnyOf:          since(11, 3),
		Truncate:       since(12, 6),
		Logprobs:       since(12, 11),
		ThinkLevels:    since(17, 7),
		NestedRequired: since(20, 0),
		ThinkMax:       since(22, 0),
	}
}

// parseVersion reads major.minor.patch; all zero if it is nothing of the kind.
func parseVersion(version string) (v [3]int) {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "-")
	parts := strings.Split(version, ".")
	if len(parts) != 3 {
		return [3]int{}
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return [3]int{}
		}
		v[i] = n
	}
	return v
}
