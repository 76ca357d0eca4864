package scriptedmodel

import (
	"fmt"
	"strings"
)

// tokenType is the kind of a token as GGUF's tokenizer.ggml.token_type says it.
type tokenType int32

const (
	normalToken  tokenType = 1
	controlToken tokenType = 3
	unusedToken  tokenType = 5
)

// headSize is the width of one attention head. The embedding, which is as long
// as the vocabulary, is divided into heads of this width.
const headSize = 64

// byteTokens is the number of tokens that stand for one byte each. They come
// first, so that the token of byte b has the number b.
const byteTokens = 256

const (
	endToken  = byteTokens     // <|im_end|>
	turnToken = byteTokens + 1 // <|im_start|>
)

// vocabulary holds a model's tokens and, for each scripted one, its successor.
type vocabulary struct {
	tokens    []string // in the byte-to-unicode form of the gpt2 tokenizer
	types     []tokenType
	successor map[int]int // token to the token that the script says next
}

// newVocabulary gives every piece and marker of the scripts a token, and
// checks that what follows a token depends on that token alone.
func newVocabulary(scripts []Script) (*vocabulary, error) {
	v := &vocabulary{successor: map[int]int{}}
	for b := range byteTokens {
		v.add(visible(string([]byte{byte(b)})), normalToken)
	}
	v.add("<|im_end|>", controlToken)
	v.add("<|im_start|>", controlToken)

	known := map[string]int{"<|im_end|>": endToken, "<|im_start|>": turnToken}
	for _, s := range scripts {
		if err := v.addScript(s, known); err != nil {
			return nil, fmt.Errorf("script after %q: %w", s.After, err)
		}
	}
	for i := 0; len(v.tokens)%headSize != 0; i++ {
		v.add(fmt.Sprintf("<|unused_%d|>", i), unusedToken)
	}
	return v, nil
}

// addScript adds one script's tokens and their order. known maps what was
// added before to its token: the same text must not become two tokens, because
// llama.cpp ends the process when it loads a vocabulary with a duplicate.
func (v *vocabulary) addScript(s Script, known map[string]int) error {
	if len(s.Pieces) == 0 {
		return fmt.Errorf("no pieces: give it at least one")
	}
	if s.Loops && len(s.Pieces) < 2 {
		return fmt.Errorf("a loop of one piece: use at least two, because ollama ends an answer that repeats one token")
	}
	if s.After == "" {
		return fmt.Errorf("no start token: use AssistantTurn or a marker")
	}
	current := int(s.After[0])
	if len(s.After) > 1 {
		current = v.intern(s.After, s.After, controlToken, known)
		if v.types[current] != controlToken {
			return fmt.Errorf("start token %q is also a piece: name the marker differently", s.After)
		}
	}
	first := -1
	for _, piece := range s.Pieces {
		if len(piece) < 2 {
			return fmt.Errorf("piece %q is shorter than two bytes: join it with its neighbour", piece)
		}
		next := v.intern(piece, visible(piece), normalToken, known)
		if v.types[next] != normalToken {
			return fmt.Errorf("piece %q is also a control token: cut the text differently", piece)
		}
		if err := v.follow(current, next); err != nil {
			return err
		}
		if first < 0 {
			first = next
		}
		current = next
	}
	if s.Loops {
		return v.follow(current, first)
	}
	return v.follow(current, endToken)
}

// follow notes that the script says next after current.
func (v *vocabulary) follow(current, next int) error {
	if other, ok := v.successor[current]; ok && other != next {
		return fmt.Errorf("token %q is followed both by %q and by %q: cut the text into different pieces",
			v.tokens[current], v.tokens[other], v.tokens[next])
	}
	v.successor[current] = next
	return nil
}

// intern returns the token of text, adding it as token if it is new.
func (v *vocabulary) intern(text, token string, typ tokenType, known map[string]int) int {
	if id, ok := known[text]; ok {
		return id
	}
	id := v.add(token, typ)
	known[text] = id
	return id
}

func (v *vocabulary) add(token string, typ tokenType) int {
	v.tokens = append(v.tokens, token)
	v.types = append(v.types, typ)
	return len(v.tokens) - 1
}

// visible writes bytes the way the gpt2 tokenizer stores them, where every byte
// is a printable character: bytes that are printable in Latin-1 stand for
// themselves, the others are numbered upwards from U+0100.
func visible(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(byteRunes[text[i]])
	}
	return b.String()
}

// byteRunes is the character of each byte in the form that visible describes.
var byteRunes = func() (runes [byteTokens]rune) {
	next := rune(0x100)
	for b := range rune(byteTokens) {
		printable := b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae
		if printable {
			runes[b] = b
			continue
		}
		runes[b] = next
		next++
	}
	return runes
}()
