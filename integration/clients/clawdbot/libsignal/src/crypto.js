exports.deriveSecrets = exports.decrypt = exports.encrypt = exports.calculateMAC = undefined;
