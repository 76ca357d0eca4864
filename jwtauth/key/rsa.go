package key

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

// checkRSA refuses keys that are too weak, too slow or broken. The exponent is an odd
// number over 65536 (FIPS 186-5 section 5.1, which is stricter than RFC 8017's three):
// smaller ones have made forgeries of it more than once, and nobody issues them any
// more. Go takes none over 31 bits.
func checkRSA(public *rsa.PublicKey) error {
	bits := public.N.BitLen()
	switch {
	case bits < 2048:
		return fmt.Errorf("an RSA key of %d bits is too weak; it must have 2048 at least", bits)
	case bits > 8192:
		return fmt.Errorf("an RSA key of %d bits is too slow; it must have 8192 at most", bits)
	case public.E < 65537 || public.E%2 == 0 || public.E > 1<<31-1:
		return fmt.Errorf("an RSA key with the exponent %d is not safe; it is 65537 as a rule", public.E)
	}
	return checkModulus(public.N)
}

// checkModulus refuses a modulus that a small prime divides, and one of a chip that can
// be factored: Infineon's made primes that are powers of 65537 modulo every small
// prime ("ROCA", CVE-2017-15361), and so their products are. Of other moduli one in two
// hundred million is.
func checkModulus(n *big.Int) error {
	weak := true
	for _, prime := range smallPrimes {
		rest := new(big.Int).Mod(n, big.NewInt(prime)).Int64()
		if rest == 0 {
			return fmt.Errorf("it is no RSA key: %d divides its modulus", prime)
		}
		weak = weak && powerOf65537(rest, prime)
	}
	if weak {
		return errors.New("it was made by a chip whose keys can be factored (ROCA, CVE-2017-15361); make another")
	}
	return nil
}

// smallPrimes are those with which ROCA is told.
var smallPrimes = []int64{
	2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
	101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// powerOf65537 reports whether rest is one modulo prime.
func powerOf65537(rest, prime int64) bool {
	for power := 65537 % prime; ; power = power * 65537 % prime {
		if power == rest {
			return true
		}
		if power == 1 {
			return false
		}
	}
}
