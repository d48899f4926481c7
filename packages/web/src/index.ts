/** What a server needs to give out the pages: where `vite build` put them, and the policy that they work under. For Node, not for pages. */
import { fileURLToPath } from 'node:url';

/** The folder that `pnpm build` fills; it holds `index.html`. Files under `assets/` carry a hash in their name and never change. */
export const PAGES_FOLDER = fileURLToPath(new URL('../dist', import.meta.url));

/**
 * The `Content-Security-Policy` of every page. Why each part is there: packages/web/README.md.
 * `'self'` in connect-src covers WebSockets of the same origin (CSP level 3).
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
