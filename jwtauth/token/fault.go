package token

import "slices"

// Fault is why a token was refused. It is for the audit record, never for the
// client: an attacker shall not learn how far his token got.
type Fault string

func (f Fault) Error() string { return "token refused: " + string(f) }

// Faults of a token.
const (
	Malformed       Fault = "malformed"
	BadHeader       Fault = "header"
	BadAlgorithm    Fault = "algorithm"
	UnknownKey      Fault = "unknown_key"
	KeysUnavailable Fault = "keys_unavailable" // of an identity provider
	BadSignature    Fault = "signature"
	BadClaims       Fault = "claims"
	BadSubject      Fault = "subject"
	Expired         Fault = "expired"
	NotYetValid     Fault = "not_yet_valid"
	TooLong         Fault = "lifetime"
	BadIssuer       Fault = "issuer"
	BadAudience     Fault = "audience"
	MissingClaim    Fault = "claim"
	MissingScope    Fault = "scope"
	BadBinding      Fault = "certificate"
	Replayed        Fault = "replayed"
)

// faults are all there are.
var faults = []Fault{
	Malformed, BadHeader, BadAlgorithm, UnknownKey, KeysUnavailable, BadSignature, BadClaims, BadSubject, Expired, NotYetValid,
	TooLong, BadIssuer, BadAudience, MissingClaim, MissingScope, BadBinding, Replayed,
}

// Faults are all that a token can be refused for.
func Faults() []Fault { return slices.Clone(faults) }

// Known reports whether a token can be refused for this.
func (f Fault) Known() bool { return slices.Contains(faults, f) }

// Forged reports whether the fault is one that no token has by mistake: it was not made by
// whoever makes ours, or is shown by somebody whom it was not made for. A token that is
// expired, says too little or is none at all is a client's or its operator's mistake, one
// that is shown twice may be a client's second try, and of one whose keys are not to be had
// nobody can tell.
func (f Fault) Forged() bool {
	switch f {
	case BadHeader, BadAlgorithm, UnknownKey, BadSignature, BadBinding:
		return true
	}
	return false
}
