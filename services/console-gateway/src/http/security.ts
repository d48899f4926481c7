/** Headers that keep other sites out of the pages, and the pages from loading anything from elsewhere. */
import type { FastifyReply } from 'fastify';

/**
 * Content Security Policy, level 3. Inline styles: xterm.js makes style sheets at run time. `data:` and `blob:` pictures: noVNC
 * shows JPEG rectangles and cursors by them. 'self' covers WebSockets of the same host.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
};

export const addSecurityHeaders = (reply: FastifyReply): void => void reply.headers(HEADERS);
