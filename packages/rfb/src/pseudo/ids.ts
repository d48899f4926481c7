/** Numbers in SetEncodings that are no encodings of dots (RFC 6143, 7.8; rfbproto, "Pseudo-encodings"). */
export const PSEUDO = {
  desktopSize: -223,
  /** Understood and never needed: an update is counted before it is sent. */
  lastRect: -224,
  cursor: -239,
  /** -247 asks for the highest compression, -256 for the lowest. */
  highestCompression: -247,
  lowestCompression: -256,
  qemuPointerMotion: -257,
  qemuExtendedKeys: -258,
  desktopName: -307,
  extendedDesktopSize: -308,
  fence: -312,
  continuousUpdates: -313,
  extendedClipboard: 0xc0a1_e5ce | 0,
} as const;
