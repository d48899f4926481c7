/** Brings guests' screens and serial ports to viewers: browsers and VNC clients. */
export { startGateway, type Gateway } from './gateway.ts';
export { DEFAULT_LIMITS, DEFAULT_PACE, type GatewayOptions, type Limits, type Pace } from './options.ts';
