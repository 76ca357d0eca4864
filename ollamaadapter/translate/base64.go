package translate

// isBase64 reports whether base64.StdEncoding can decode a text. Nothing is decoded for
// that, for an image is nearly all of its request.
func isBase64(text string) bool {
	digits, padding := 0, 0
	for len(text) > 0 {
		if padding == 0 && eightDigits(text) { // one by one takes longer than to decode them
			digits, text = digits+8, text[8:]
			continue
		}
		switch c := text[0]; {
		case noDigit[c] == 0 && padding == 0:
			digits++
		case c == '=':
			padding++
		case c != '\r' && c != '\n': // which stand for nothing
			return false
		}
		text = text[1:]
	}
	return padding <= 2 && (digits+padding)%4 == 0
}

// eightDigits reports whether a text begins with eight of them.
func eightDigits(t string) bool {
	return len(t) >= 8 && noDigit[t[0]]|noDigit[t[1]]|noDigit[t[2]]|noDigit[t[3]]|
		noDigit[t[4]]|noDigit[t[5]]|noDigit[t[6]]|noDigit[t[7]] == 0
}

// noDigit is 0 for the bytes that stand for six bits each, and 1 for all others.
var noDigit = func() (no [256]byte) {
	for c := range no {
		no[c] = 1
	}
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		no[c] = 0
	}
	return no
}()
