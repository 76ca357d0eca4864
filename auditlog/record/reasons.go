package record

import (
	"slices"
	"strings"
)

// Reasons of event.reason that more than one handler gives or asks for.
// A refused token's reason is BadToken followed by the cause.
const (
	OK                    = "ok"
	NoToken               = "no_token"
	BadToken              = "bad_token:"
	RateLimited           = "rate_limited"
	Blocked               = "blocked"
	OverCapacity          = "over_capacity"
	StoreUnavailable      = "store_unavailable" // which knows whether a request may pass
	ForbiddenAddress      = "forbidden_address"
	ForbiddenOrigin       = "forbidden_origin" // a browser asks the console for another site's sake
	BadRequest            = "bad_request"
	TooLarge              = "too_large"
	NotFound              = "not_found"
	MethodNotAllowed      = "method_not_allowed"
	ModelNotFound         = "model_not_found"
	ClientGone            = "client_gone"
	ContextLengthExceeded = "context_length_exceeded"
	UpstreamError         = "upstream_error"
	UpstreamStalled       = "upstream_stalled"
	ShuttingDown          = "shutting_down"
	Cancelled             = "cancelled" // by the operator
	InternalError         = "internal_error"
	AuditFailure          = "audit_failure" // not served, because no record of it could have been written
)

// StatusClientGone is what a record says when the client left before its answer
// was complete: nginx's 499, which Caddy's reverse_proxy uses too.
const StatusClientGone = 499

// reasons are all that our own handlers give, as far as they are no BadToken.
var reasons = []string{
	OK, NoToken, RateLimited, Blocked, OverCapacity, StoreUnavailable, ForbiddenAddress, ForbiddenOrigin, BadRequest, TooLarge,
	NotFound, MethodNotAllowed, ModelNotFound, ClientGone, ContextLengthExceeded, UpstreamError, UpstreamStalled, ShuttingDown, Cancelled,
	InternalError, AuditFailure,
}

// Reasons are all that our own handlers give, but for a BadToken's: its causes are
// jwt_auth's to tell.
func Reasons() []string { return slices.Clone(reasons) }

// OtherReason is the class of reasons that are none of our own handlers'.
const OtherReason = "other"

// ReasonClass is the reason as metrics name it, for which there must be few: without the
// cause that follows a colon.
func (r *Record) ReasonClass() string {
	class, _, _ := strings.Cut(r.Reason, ":")
	if class+":" == BadToken || slices.Contains(reasons, r.Reason) {
		return class
	}
	return OtherReason
}
