/** VNC Authentication (RFC 6143, 7.2.2): the password, as a DES key, encrypts a challenge. Weak, and what every viewer has. */
import { createCipheriv, timingSafeEqual } from 'node:crypto';

export const CHALLENGE_BYTES = 16;
const KEY_BYTES = 8;

/** Whether `response` is `challenge` encrypted with the password, of which the first 8 bytes count. */
export function isRightResponse(password: string, challenge: Uint8Array, response: Uint8Array): boolean {
  return response.length === CHALLENGE_BYTES && timingSafeEqual(encryptChallenge(password, challenge), response);
}

/** What a viewer with that password answers. */
export function encryptChallenge(password: string, challenge: Uint8Array): Uint8Array {
  const key = Buffer.alloc(KEY_BYTES);
  Buffer.from(password, 'utf8').copy(key);
  const mirrored = key.map(mirror);
  // OpenSSL 3 has single DES in its legacy provider only; three times the same key is the same cipher.
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([mirrored, mirrored, mirrored]), null);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}

/** "the lowest bit of each byte is considered the first bit": the other way round than DES has it. */
function mirror(byte: number): number {
  let mirrored = 0;
  for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) mirrored |= 0x80 >> bit;
  return mirrored;
}
