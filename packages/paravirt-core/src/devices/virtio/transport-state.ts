/** What a virtio PCI transport remembers (virtio 1.2, 2.1 and 4.1.4), for snapshots and for its registers. */
import { array, bool, deadline, nested, pod, u16, u32, u8, type StateOf } from '@tomei/kit';
import { msixState } from '../../machine/msix.ts';
import { windowState } from './pci-window.ts';
import { isVector, NO_VECTOR, queueState } from './queue-state.ts';

/** Device status bits (2.1). */
export const STATUS_ACKNOWLEDGE = 1;
export const STATUS_DRIVER = 2;
export const STATUS_DRIVER_OK = 4;
export const STATUS_FEATURES_OK = 8;
export const STATUS_NEEDS_RESET = 64;
export const STATUS_FAILED = 128;

/** MSI-X vectors of a device: one for each queue, one for the configuration. */
export const vectorsOf = (sizes: readonly number[]): number => sizes.length + 1;

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
    /** The vector that tells of a change of configuration (4.1.5.1.2). */
    vector: u16(NO_VECTOR),
    msix: nested(msixState(vectorsOf(sizes))),
  }).check(
    (s) =>
      [s, ...s.queues].every(({ vector }) => isVector(vector, vectorsOf(sizes))) ||
      `a field 'vector' is none of ${vectorsOf(sizes)} vectors`,
  );
export type TransportState = StateOf<ReturnType<typeof transportState>>;

/**
 * The state of a device from before transports had MSI-X, with it switched off. What is no such state comes back as it is, for `parse`
 * to refuse.
 */
export function withMsix(old: unknown, sizes: readonly number[]): unknown {
  if (!isObject(old) || !isObject(old['transport'])) return old;
  const { transport } = old;
  const { queues } = transport;
  if (!Array.isArray(queues) || !queues.every(isObject)) return old;
  const { vector, msix } = transportState(sizes).initial();
  const vectored = queues.map((queue) => ({ ...queue, vector: NO_VECTOR }));
  return { ...old, transport: { ...transport, queues: vectored, vector, msix } };
}
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
