/** RFB 3.8, server side: bytes in, bytes out (RFC 6143 and the rfbproto community's document for what came after it). */
export { Framebuffer, type Frame, type FrameChange, type PixelRectangle } from './framebuffer.ts';
export type { CopyRectangle, Rectangle } from './geometry.ts';
export { RfbSession } from './session.ts';
export type { KeyPress, PointerMove, RfbSessionOptions, SentRectangle, ViewerEvents, ViewerSession } from './viewer.ts';
