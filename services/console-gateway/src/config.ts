/** What can be set for a console gateway that runs by itself. */
import { defineConfig, field, settings } from '@tomei/service';

export const gatewayConfig = defineConfig({
  httpHost: field('TOMEI_HTTP_HOST', settings.text(), {
    doc: 'Address on which pages, consoles and the API are served.',
    default: '0.0.0.0',
  }),
  httpPort: field('TOMEI_HTTP_PORT', settings.port(), {
    doc: 'Port of pages, consoles and the API; 0: any free one.',
    default: 8006,
  }),
  controllerUrl: field('TOMEI_CONTROLLER_URL', settings.url(['http', 'https']), {
    doc: 'Where the controller is: requests below /api go there.',
    default: 'http://127.0.0.1:8005',
  }),
  vncHost: field('TOMEI_VNC_HOST', settings.text(), {
    doc: 'Address on which VNC ports of guests are opened (RemoteDisplay.vnc.port). VNC is not encrypted.',
    default: '0.0.0.0',
  }),
  pages: field('TOMEI_PAGES', settings.text(), {
    doc: 'Folder of the built pages, when it is not that of packages/web.',
    default: undefined,
  }),
  allowedOrigins: field('TOMEI_ALLOWED_ORIGINS', settings.text(), {
    doc: 'Origins besides its own whose pages may open consoles, separated by commas, such as https://tomei.example.',
    default: '',
  }),
  allowedHosts: field('TOMEI_ALLOWED_HOSTS', settings.text(), {
    doc: 'Names by which this server is reached, separated by commas; requests for others are refused. Empty: any, or none but localhost when it serves this machine alone. Addresses are always allowed.',
    default: '',
  }),
  viewersPerGuest: field('TOMEI_VIEWERS_PER_GUEST', settings.whole({ min: 1, max: 10_000 }), {
    doc: 'How many viewers one guest may have, screens and serial ports together.',
    default: 100,
  }),
  viewers: field('TOMEI_VIEWERS', settings.whole({ min: 1, max: 100_000 }), {
    doc: 'How many viewers there may be in all.',
    default: 1000,
  }),
});
