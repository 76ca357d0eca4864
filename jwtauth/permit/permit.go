// Package permit carries what a verified token permits from jwt_auth to the handlers
// behind it.
package permit

import "context"

type modelsKey struct{}

// WithModels narrows the models that a request may ask for to names that match one of
// these globs; none match no globs at all.
func WithModels(ctx context.Context, globs []string) context.Context {
	if globs == nil {
		globs = []string{}
	}
	return context.WithValue(ctx, modelsKey{}, globs)
}

// Models are the globs of the models that a request may ask for; nil if it is not
// narrowed.
func Models(ctx context.Context) []string {
	globs, _ := ctx.Value(modelsKey{}).([]string)
	return globs
}
