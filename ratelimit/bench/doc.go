// Package bench compares ip_throttle with other limiters. It is a module of its
// own, so that they do not become dependencies of the gateway:
//
//	cd ratelimit/bench && go test -bench . -benchmem
package bench
