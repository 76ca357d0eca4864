// Package limit says in what terms ip_throttle decides: who asks, what is allowed,
// how a request may fare. It holds no state; the stores beside it do.
package limit
