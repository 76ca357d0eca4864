package translate

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// checkTools checks the tools, those that may not be called included, and that
// the choice is one of them.
func checkTools(in []openai.Tool, choice toolChoice) error {
	for i, tool := range in {
		parameters := tool.Function.Parameters
		switch {
		case tool.Type != "function":
			return invalid(index("tools", i)+".type", "only function is supported")
		case tool.Function.Name == "":
			return missing(index("tools", i) + ".function.name")
		case isSet(parameters) && parameters.Kind() != '{':
			return wrongType(parametersOf(i))
		}
	}
	mayCall := slices.ContainsFunc(in, func(tool openai.Tool) bool { return choice.allows(tool.Function.Name) })
	if !mayCall && (choice.required || choice.only != nil) {
		return invalid("tool_choice", "names no function of tools")
	}
	return nil
}

// tools passes on the tools that may be called.
func tools(in []openai.Tool, choice toolChoice, features ollama.Features) ([]ollama.Tool, error) {
	dialect := SchemaDialect{
		TypeLists: features.TypeLists, AnyOf: features.AnyOf, NestedRequired: features.NestedRequired,
	}
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]ollama.Tool, 0, len(in))
	for i, tool := range in {
		if !choice.allows(tool.Function.Name) {
			continue
		}
		parameters := tool.Function.Parameters
		if !isSet(parameters) {
			// without any, Ollama would show the model {"type":"","properties":null}
			parameters = jsontext.Value(`{}`)
		}
		schema, notes, err := schemas.rewrite(parameters, dialect)
		if err != nil {
			return nil, invalid(parametersOf(i), err.Error())
		}
		out = append(out, ollama.Tool{Type: "function", Function: ollama.Function{
			Name:        tool.Function.Name,
			Description: strings.TrimSpace(tool.Function.Description + " " + notes),
			Parameters:  schema,
		}})
	}
	return out, nil
}

// parametersOf names the schema of the tool i.
func parametersOf(i int) string { return index("tools", i) + ".function.parameters" }
