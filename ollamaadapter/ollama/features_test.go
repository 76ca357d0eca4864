package ollama

import "testing"

func TestFeaturesOf(t *testing.T) {
	cases := []struct {
		name, version string
		want          Features
	}{
		{"the first with /api/chat worth speaking of has none", "0.1.45", Features{}},
		{"0.5.0 brings schemas", "0.5.0", Features{SchemaFormat: true}},
		{"0.9.0 brings thinking", "0.9.0", Features{SchemaFormat: true, TypeLists: true, TellsVision: true, ToolStreams: true, Think: true}},
		{"0.12.5 is one short of truncate", "0.12.5", Features{SchemaFormat: true, TypeLists: true, TellsVision: true, ToolStreams: true, Think: true, AnyOf: true}},
		{"0.17.4 has levels of thinking for gpt-oss only", "0.17.4", Features{
			SchemaFormat: true, TypeLists: true, TellsVision: true, ToolStreams: true, Think: true, AnyOf: true, Truncate: true, Logprobs: true}},
		{"a release candidate counts as its release", "0.33.0-rc2", Newest},
		{"a leading v does not matter", "v0.33.0", Newest},
		{"1.0.0 is newer than any 0", "1.0.0", Newest},
		{"a build from source says 0.0.0 and is taken for new", "0.0.0", Newest},
		{"so is what cannot be read", "garbage", Newest},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := FeaturesOf(c.version); got != c.want {
				t.Errorf("FeaturesOf(%q) = %+v, want %+v", c.version, got, c.want)
			}
		})
	}
	if !Newest.ThinkMax || !Newest.NestedRequired {
		t.Errorf("the newest lacks something: %+v", Newest)
	}
}
