/** What the gateway counts. Names and units follow Prometheus; processor time of the process is Node's own metric. */
import type { Metrics } from '@tomei/service';

/** How a viewer came, and what it watches. */
export const VIEWER_KINDS = ['rfb-websocket', 'rfb-tcp', 'serial'] as const;
export type ViewerKind = (typeof VIEWER_KINDS)[number];

export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;

export const createGatewayMetrics = (metrics: Metrics) => ({
  viewers: metrics.gauge<'kind'>({
    name: 'tomei_console_viewers',
    help: 'Viewers that are connected',
    labelNames: ['kind'],
  }),
  viewersEnded: metrics.counter<'kind' | 'why'>({
    name: 'tomei_console_viewers_ended_total',
    help: 'Viewers that are gone, by why: left, refused, stalled, error, guest-gone, closing',
    labelNames: ['kind', 'why'],
  }),
  viewersRefused: metrics.counter({
    name: 'tomei_console_viewers_refused_total',
    help: 'Viewers that were turned away because there were too many',
  }),
  links: metrics.gauge<'state'>({
    name: 'tomei_console_links',
    help: 'Guests that are watched, by the state of the stream from the guest',
    labelNames: ['state'],
  }),
  framesIn: metrics.counter({ name: 'tomei_console_frames_in_total', help: 'Frames that guests sent' }),
  frameBytesIn: metrics.counter({
    name: 'tomei_console_frame_bytes_in_total',
    help: 'Bytes of dots in frames that guests sent, as they came',
  }),
  updatesOut: metrics.counter({
    name: 'tomei_console_updates_out_total',
    help: 'Updates of the picture that were sent to viewers',
  }),
  skipped: metrics.counter({
    name: 'tomei_console_frames_skipped_total',
    help: 'Frames that a viewer was not sent by themselves, since it was still busy with one before',
  }),
  bytesOut: metrics.counter<'kind'>({
    name: 'tomei_console_bytes_out_total',
    help: 'Bytes sent to viewers',
    labelNames: ['kind'],
  }),
  bytesByEncoding: metrics.counter<'encoding'>({
    name: 'tomei_console_encoded_bytes_total',
    help: 'Bytes of rectangles of the picture sent to viewers, with their heads, by encoding',
    labelNames: ['encoding'],
  }),
  serialIn: metrics.counter({ name: 'tomei_console_serial_in_bytes_total', help: 'Bytes from serial ports of guests' }),
  vncPorts: metrics.gauge<'state'>({
    name: 'tomei_console_vnc_ports',
    help: 'VNC ports of guests, by whether they could be opened',
    labelNames: ['state'],
  }),
});
