package translate

// IsPlainEnd reports whether a line is an end that is not decoded.
func IsPlainEnd(line []byte) bool {
	p, ok := plainLine(line)
	return ok && p.end() != nil
}
