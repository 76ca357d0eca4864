package key

// UncheckedSecret is a key of any secret, for test vectors that are made with weak ones.
func UncheckedSecret(value []byte, algorithm string) *Key {
	return &Key{Algorithm: algorithm, method: methods[algorithm], public: value, private: value}
}
