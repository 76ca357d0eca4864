package key

import (
	"bytes"
	"slices"
	"strings"
)

// guessable says why a secret that is long enough is none all the same; it is empty
// for one that is. It finds what people copy or type who do not have `openssl rand`
// make their secret, and is never wrong about one that it made.
func guessable(secret []byte, least int) string {
	plain := onlyLettersAndDigits(secret)
	switch {
	case bytes.Contains(secret, []byte("-----BEGIN ")), bytes.HasPrefix(secret, []byte("ssh-")), bytes.Contains(secret, []byte(`"kty"`)):
		return "it is a key in another form, which others may have; public_key takes public keys"
	case slices.Contains(published, plain):
		return "it has been published, in a tutorial or as the default of a product"
	case slices.ContainsFunc(placeholders, func(text string) bool { return strings.Contains(plain, text) }):
		return "it is the example of a secret that was to be replaced"
	case repeats(secret, least):
		return "it repeats what is too short by itself"
	case steps(secret)*4 >= len(secret)*3:
		return "most of its bytes are the same as their neighbours, or count up or down"
	case distinct(secret) < 6:
		return "it has hardly any different bytes"
	}
	return ""
}

// repeats reports whether the secret is something shorter than least again and again,
// the last time perhaps in part: what is repeated makes it no harder to guess. That the
// end of a random secret is like its beginning happens; for 12 bytes it does not.
func repeats(secret []byte, least int) bool {
	for period := 1; period < least && period <= len(secret)-12; period++ {
		if bytes.Equal(secret[period:], secret[:len(secret)-period]) {
			return true
		}
	}
	return false
}

// steps counts the bytes that are the one before them, or next to it in the alphabet.
func steps(secret []byte) (n int) {
	for i := 1; i < len(secret); i++ {
		if step := int(secret[i]) - int(secret[i-1]); step >= -1 && step <= 1 {
			n++
		}
	}
	return n
}

func distinct(secret []byte) int {
	sorted := slices.Sorted(slices.Values(secret))
	return len(slices.Compact(sorted))
}

// onlyLettersAndDigits is a secret as one remembers it: in small letters, with nothing
// between.
func onlyLettersAndDigits(secret []byte) string {
	var plain strings.Builder
	for _, c := range bytes.ToLower(secret) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			plain.WriteByte(c)
		}
	}
	return plain.String()
}

// placeholders are parts of secrets whose authors wanted them replaced, or said of them
// how long they were.
var placeholders = []string{
	"atleast", "changeme", "changethis", "replaceme", "replacethis", "replacewith", "yoursecret", "yourjwtsecret",
	"yoursupersecret", "yourown", "256bitsecret", "384bitsecret", "512bitsecret", "djangoinsecure",
}

// published are secrets that many have copied and everybody who attacks tokens tries.
var published = []string{
	// RFC 7515 appendix A.1 and RFC 7520 section 3.5
	"aym1sysppbydfgzld3umj1qzkobwvmkoqqestjqlrt1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z9caow",
	"hjtxiz2usn5kbqfbttnwbpdmhkv8fjgonbc6mxccyg",
	// FastAPI's documentation
	"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
	// tutorials of Spring Security
	"404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970",
	"3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
	// tutorials of ASP.NET
	"thisismycustomsecretkeyforauthentication",
	"thisismycustomsecretkeyforauthnetication",
	"jwtauthenticationhighsecuredpasswordvvvp1oh7xzyr",
	// Nacos, by default (CVE-2021-43116), and in base64
	"secretkey012345678901234567890123456789012345678901234567890123456789",
	"u2vjcmv0s2v5mdeymzq1njc4otaxmjm0nty3odkwmtizndu2nzg5mdeymzq1njc4otaxmjm0nty3odkwmtizndu2nzg5",
	// Hasura's and PostgREST's documentation
	"3ek6fdo0c7tzbnvfjpmkndi2yaraakzqlk8o2ikoxqu4nf7edah8s3twphwrdwt6r",
	"reallyreallyreallyreallyverysafe",
}
