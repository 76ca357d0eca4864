package key_test

import (
	"crypto/rsa"
	"math/big"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

func TestRSAKeysThatAreNotSafe(t *testing.T) {
	n := rsaKey().N
	bits := func(bits int) *big.Int { // a number of so many bits, with no small prime in it
		n := new(big.Int).SetBit(new(big.Int), bits-1, 1)
		for new(big.Int).GCD(nil, nil, n, primorial()).Cmp(big.NewInt(1)) != 0 {
			n.Add(n, big.NewInt(1))
		}
		return n
	}
	for _, test := range []struct {
		name string
		n    *big.Int
		e    int
		says string
	}{
		{"65537, as a rule", n, 65537, ""},
		{"65539", n, 65539, ""},
		{"the greatest exponent that Go verifies with", n, 1<<31 - 1, ""},
		{"an exponent of 32 bits", n, 1<<31 + 1, "exponent"},
		{"an exponent of 40 bits", n, 1<<40 + 1, "exponent"},
		{"the exponent 3", n, 3, "exponent 3"},
		{"the exponent 17", n, 17, "exponent 17"},
		{"65535", n, 65535, "exponent"},
		{"an even exponent", n, 65538, "exponent"},
		{"the exponent 1, with which anything is signed", n, 1, "exponent 1"},
		{"no exponent", n, 0, "exponent 0"},
		{"a negative exponent", n, -65537, "exponent"},
		{"2047 bits", bits(2047), 65537, "2047 bits is too weak"},
		{"3072 bits", bits(3072), 65537, ""},
		{"8192 bits", bits(8192), 65537, ""},
		{"8193 bits", bits(8193), 65537, "8193 bits is too slow"},
		{"an even modulus", new(big.Int).Lsh(n, 1), 65537, "2 divides"},
		{"a modulus that 3 divides", new(big.Int).Mul(n, big.NewInt(3)), 65537, "3 divides"},
		{"a modulus that 167 divides", new(big.Int).Mul(n, big.NewInt(167)), 65537, "167 divides"},
		{"a modulus of a chip with ROCA", roca(), 65537, "ROCA"},
		{"one that differs from it in one prime", rocaBut(157), 65537, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := key.Public(&rsa.PublicKey{N: test.n, E: test.e}, "")
			if test.says != "" {
				refused(t, err, test.says)
			} else if err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

// primorial is the product of the primes up to 167.
func primorial() *big.Int {
	product := big.NewInt(1)
	for n := int64(2); n <= 167; n++ {
		if big.NewInt(n).ProbablyPrime(0) {
			product.Mul(product, big.NewInt(n))
		}
	}
	return product
}

// roca is a power of 65537 modulo each prime up to 167, as the moduli of those chips are.
func roca() *big.Int {
	m := primorial()
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(123456789), m)
	return n.Add(n, m.Lsh(m, 2050))
}

// rocaBut is such a number, but for one prime, modulo which it is no power of 65537.
func rocaBut(prime int64) *big.Int {
	rest := new(big.Int).Div(primorial(), big.NewInt(prime))
	powers := map[int64]bool{}
	for power := int64(1); !powers[power]; power = power * 65537 % prime {
		powers[power] = true
	}
	for n := roca(); ; n.Add(n, rest) {
		if r := new(big.Int).Mod(n, big.NewInt(prime)).Int64(); r != 0 && !powers[r] {
			return n
		}
	}
}
