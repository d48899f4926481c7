/** How the pages are built: one bundle for the library, one more that is fetched when somebody opens a console. */
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: 'dist',
    // noVNC awaits at the top of a module.
    target: 'es2022',
    // light-dark() as it is: the consoles choose dark for themselves, within a light page.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    sourcemap: false,
    // Nothing is put into the page as a data: address: the content security policy stays short.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
