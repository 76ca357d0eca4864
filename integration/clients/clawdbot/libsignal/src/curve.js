exports.generateKeyPair = exports.calculateSignature = exports.verifySignature = undefined;
