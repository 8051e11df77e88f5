/**
 * Stands in the bundle for what age-encryption loads for post-quantum and NIST keys. No
 * store here has such a key, and the real modules are a tenth of the daemon's code.
 * An identity of such a kind is rejected like any other text that is no X25519 key.
 */
export const p256 = undefined
export const MLKEM768P256 = undefined
export const MLKEM768X25519 = undefined
