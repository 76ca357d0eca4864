package entry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// longestText is how much is kept of a text, in bytes. Records cut theirs there, too.
const longestText = 1024

// Parser reads lines. It is for one goroutine.
type Parser struct {
	source bytes.Reader
	tokens *jsontext.Decoder
	name   []byte // of the member that is read, dotted
}

// NewParser makes a parser.
func NewParser() *Parser { return &Parser{tokens: jsontext.NewDecoder(new(bytes.Reader))} }

// Parse reads a line. A line that is not one JSON object in UTF-8 in which each name is
// there once, or that has a value of the wrong kind, is an error.
func (p *Parser) Parse(line []byte) (Entry, error) {
	var e Entry
	p.source.Reset(line)
	p.tokens.Reset(&p.source)
	p.name = p.name[:0]
	if p.tokens.PeekKind() != '{' {
		return e, errors.New("no JSON object")
	}
	if err := p.object(&e); err != nil {
		return e, err
	}
	if _, err := p.tokens.ReadToken(); err != io.EOF {
		return e, errors.New("there is something behind the JSON object")
	}
	return e, nil
}

// object reads the members of an object.
func (p *Parser) object(e *Entry) error {
	if _, err := p.tokens.ReadToken(); err != nil { // the brace
		return noJSON(err)
	}
	outer := len(p.name)
	for p.tokens.PeekKind() == '"' {
		name, err := p.tokens.ReadToken()
		if err != nil {
			return noJSON(err)
		}
		if outer > 0 {
			p.name = append(p.name, '.')
		}
		p.name = append(p.name, name.String()...)
		if err := p.member(e); err != nil {
			return err
		}
		p.name = p.name[:outer]
	}
	_, err := p.tokens.ReadToken() // the closing brace
	return noJSON(err)
}

// member reads the value of a member.
func (p *Parser) member(e *Entry) error {
	if p.tokens.PeekKind() == '{' && isAbove(p.name) {
		return p.object(e)
	}
	read, ok := readers[string(p.name)]
	if !ok {
		return noJSON(p.tokens.SkipValue())
	}
	value, err := p.tokens.ReadToken()
	if err != nil {
		return noJSON(err)
	}
	if value.Kind() == 'n' {
		return nil
	}
	if err := read(e, value); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// noJSON tells what is wrong, but nothing of what the line says.
func noJSON(err error) error {
	if err == nil {
		return nil
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		return fmt.Errorf("no JSON object, from byte %d on", syntactic.ByteOffset+1)
	}
	return errors.New("no whole JSON object")
}

// isAbove tells whether there are fields below a name.
func isAbove(name []byte) bool { return above[string(name)] }

// reader takes the value of a field.
type reader func(e *Entry, value jsontext.Token) error

var readers = map[string]reader{
	"@timestamp":                          timeOf(func(e *Entry) *time.Time { return &e.Time }),
	"event.action":                        text(func(e *Entry) *string { return &e.Action }),
	"event.outcome":                       text(func(e *Entry) *string { return &e.Outcome }),
	"event.reason":                        text(func(e *Entry) *string { return &e.Reason }),
	"event.duration":                      duration(func(e *Entry) *time.Duration { return &e.Duration }, time.Nanosecond),
	"http.request.id":                     text(func(e *Entry) *string { return &e.RequestID }),
	"http.request.method":                 text(func(e *Entry) *string { return &e.Method }),
	"url.path":                            text(func(e *Entry) *string { return &e.Path }),
	"source.ip":                           text(func(e *Entry) *string { return &e.SourceIP }),
	"user.id":                             text(func(e *Entry) *string { return &e.User }),
	"gen_ai.conversation.id":              text(func(e *Entry) *string { return &e.Conversation }),
	"gen_ai.operation.name":               text(func(e *Entry) *string { return &e.Operation }),
	"gen_ai.request.model":                text(func(e *Entry) *string { return &e.Model }),
	"gen_ai.response.model":               text(func(e *Entry) *string { return &e.ResponseModel }),
	"gen_ai.request.stream":               truth(func(e *Entry) *bool { return &e.Stream }),
	"gen_ai.usage.input_tokens":           count(func(e *Entry) **int64 { return &e.Input }),
	"gen_ai.usage.output_tokens":          count(func(e *Entry) **int64 { return &e.Output }),
	"gen_ai.response.time_to_first_chunk": duration(func(e *Entry) *time.Duration { return &e.FirstChunk }, time.Second),
	"labels.usage_estimated":              truth(func(e *Entry) *bool { return &e.Estimated }),
	"http.response.status_code": func(e *Entry, value jsontext.Token) error {
		n, err := whole(value)
		if err == nil && n > 999 {
			err = errors.New("no status of HTTP")
		}
		e.Status = int(n)
		return err
	},
}

// above are the names that fields are below of.
var above = func() map[string]bool {
	names := make(map[string]bool)
	for name := range readers {
		for at := strings.LastIndexByte(name, '.'); at > 0; at = strings.LastIndexByte(name, '.') {
			name = name[:at]
			names[name] = true
		}
	}
	return names
}()

func text(field func(*Entry) *string) reader {
	return func(e *Entry, value jsontext.Token) error {
		if value.Kind() != '"' {
			return errors.New("no text")
		}
		s := value.String()
		if len(s) > longestText {
			s = strings.ToValidUTF8(s[:longestText], "")
		}
		*field(e) = s
		return nil
	}
}

func timeOf(field func(*Entry) *time.Time) reader {
	return func(e *Entry, value jsontext.Token) error {
		at, err := time.Parse(time.RFC3339Nano, value.String())
		if err != nil {
			return errors.New("no time in RFC 3339")
		}
		*field(e) = at.UTC()
		return nil
	}
}

func duration(field func(*Entry) *time.Duration, unit time.Duration) reader {
	return func(e *Entry, value jsontext.Token) error {
		if value.Kind() != '0' {
			return errors.New("no number")
		}
		n, err := strconv.ParseFloat(value.String(), 64)
		n *= float64(unit)
		if err != nil || n < 0 || n >= math.MaxInt64 {
			return errors.New("no duration")
		}
		*field(e) = time.Duration(n)
		return nil
	}
}

func count(field func(*Entry) **int64) reader {
	return func(e *Entry, value jsontext.Token) error {
		n, err := whole(value)
		*field(e) = &n
		return err
	}
}

// mostTokens keeps sums of many lines from overflowing.
const mostTokens = 1 << 40

// whole is a whole number, not below 0.
func whole(value jsontext.Token) (int64, error) {
	if value.Kind() != '0' {
		return 0, errors.New("no number")
	}
	n, err := strconv.ParseInt(value.String(), 10, 64)
	if err != nil || n < 0 || n > mostTokens {
		return 0, errors.New("no whole number of a sensible size")
	}
	return n, nil
}

// truth is a boolean, or the word for one: Elasticsearch takes labels for text.
func truth(field func(*Entry) *bool) reader {
	return func(e *Entry, value jsontext.Token) error {
		*field(e) = value.String() == "true"
		return nil
	}
}
