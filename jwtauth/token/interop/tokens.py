"""Prints a token for each algorithm, as the users of PyJWT make them.

Reads {"claims": {...}, "keys": {algorithm: key}} from standard input: PEM, or the
secret itself."""

import json
import sys

import jwt

asked = json.load(sys.stdin)
json.dump(
    {alg: jwt.encode(asked["claims"], key, algorithm=alg, headers={"kid": "k"}) for alg, key in asked["keys"].items()},
    sys.stdout,
)
