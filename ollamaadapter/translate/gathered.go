package translate

import "github.com/go-json-experiment/json/jsontext"

// gathered is a text that comes in pieces, as JSON: most of them are escaped already.
type gathered struct{ json []byte } // but for the closing quote

// add adds a piece.
func (g *gathered) add(text string) {
	if text != "" {
		quoted := appendText(nil, text)
		g.addEscaped(quoted[1 : len(quoted)-1])
	}
}

// addEscaped adds a piece that is escaped.
func (g *gathered) addEscaped(text []byte) {
	if len(text) == 0 {
		return
	}
	if g.json == nil {
		g.json = append(make([]byte, 0, 1024), '"')
	}
	g.json = append(g.json, text...)
}

func (g *gathered) empty() bool { return len(g.json) == 0 }

// value is the text as a JSON string. Nothing can be added any more.
func (g *gathered) value() jsontext.Value {
	if g.empty() {
		return jsontext.Value(`""`)
	}
	return append(g.json, '"')
}
