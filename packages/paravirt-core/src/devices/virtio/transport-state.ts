/** What a virtio PCI transport remembers (virtio 1.2, 2.1 and 4.1.4), for snapshots and for its registers. */
import { array, bool, deadline, nested, pod, u16, u32, u8, type StateOf } from '@tomei/kit';
import { windowState } from './pci-window.ts';
import { queueState } from './queue-state.ts';

/** Device status bits (2.1). */
export const STATUS_ACKNOWLEDGE = 1;
export const STATUS_DRIVER = 2;
export const STATUS_DRIVER_OK = 4;
export const STATUS_FEATURES_OK = 8;
export const STATUS_NEEDS_RESET = 64;
export const STATUS_FAILED = 128;

/** What a snapshot holds of the transport of a device whose queues offer `sizes` entries. */
export const transportState = (sizes: readonly number[]) =>
  pod({
    status: u8(),
    deviceFeatureSelect: u32(),
    driverFeatureSelect: u32(),
    driverFeaturesLow: u32(),
    driverFeaturesHigh: u32(),
    queueSelect: u16(),
    isr: u8(),
    generation: u8(),
    /** The device-specific configuration changed since the driver last read of it. */
    configurationChanged: bool(),
    /** When queues that stopped with chains left are served again. */
    resumeAt: deadline(),
    queues: array(sizes.length, (i) => nested(queueState(sizes[i]!))),
    window: nested(windowState),
  });
export type TransportState = StateOf<ReturnType<typeof transportState>>;
