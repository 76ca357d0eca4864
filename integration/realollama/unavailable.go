package realollama

// Unavailable is the error for a machine that has no Ollama and cannot build
// one, for want of a compiler or of the network. It is not a failure of what
// is under test, so tests skip with it:
//
//	bin, err := realollama.Find(ctx, os.Stderr)
//	if unavailable, ok := errors.AsType[*realollama.Unavailable](err); ok {
//		t.Skip(unavailable.Reason)
//	}
type Unavailable struct {
	// Reason says what is missing and what would help.
	Reason string
}

// Error returns the reason.
func (u *Unavailable) Error() string {
	return "no ollama to test with: " + u.Reason
}
