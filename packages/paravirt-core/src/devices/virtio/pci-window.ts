/**
 * The capabilities by which a driver finds the virtio structures, and the one by which it reaches them without a
 * mapping (virtio 1.2, 4.1.4).
 */
import { pod, u32, u8, type StateOf } from '@tomei/kit';
import { type PciCapability, type Registers, type Width } from '../../machine/device.ts';
import { part } from './fields.ts';

/** PCI capability identifier of vendor-specific structures (PCI 3.0, appendix H). */
const CAPABILITY_VENDOR = 0x09;

export const CAP_COMMON_CFG = 1;
export const CAP_NOTIFY_CFG = 2;
export const CAP_ISR_CFG = 3;
export const CAP_DEVICE_CFG = 4;
export const CAP_PCI_CFG = 5;

/** Where a structure lies in base address register 0. */
export interface Region {
  readonly offset: number;
  readonly length: number;
}

/** Bytes of `struct virtio_pci_cap` after `cap_vndr` and `cap_next`. */
const BODY_BYTES = 14;

/** A capability that names `region` of base address register 0; `extra` is what follows it (the notify multiplier). */
export function structureCapability(type: number, region: Region, extra?: number): PciCapability {
  const body = new Uint8Array(BODY_BYTES + (extra === undefined ? 0 : 4));
  const view = new DataView(body.buffer);
  view.setUint8(0, body.length + 2);
  view.setUint8(1, type);
  view.setUint32(6, region.offset, true);
  view.setUint32(10, region.length, true);
  if (extra !== undefined) view.setUint32(BODY_BYTES, extra, true);
  return { id: CAPABILITY_VENDOR, body };
}

/** The registers of `struct virtio_pci_cfg_cap` that a driver may write. */
export const windowState = pod({ bar: u8(), offset: u32(), length: u32(), data: u32() });
export type WindowState = StateOf<typeof windowState>;

const WINDOW_BYTES = 20;
const WINDOW_BAR = 4;
const WINDOW_OFFSET = 8;
const WINDOW_LENGTH = 12;
const WINDOW_DATA = 16;

/**
 * VIRTIO_PCI_CAP_PCI_CFG (4.1.4.9): reading or writing the data field accesses base address register 0 at the chosen
 * offset and length. A choice that is no naturally aligned access within the register reads as 0 and writes nothing.
 */
export function windowCapability(state: () => WindowState, bar: Registers & { readonly size: number }): PciCapability {
  const chosen = (): Width | undefined => {
    const { bar: index, offset, length } = state();
    const fits = index === 0 && (length === 1 || length === 2 || length === 4);
    return fits && offset % length === 0 && offset + length <= bar.size ? length : undefined;
  };
  const registerAt = (offset: number): number => {
    const window = state();
    switch (offset & ~3) {
      case 0:
        return ((CAP_PCI_CFG << 24) | (WINDOW_BYTES << 16)) >>> 0;
      case WINDOW_BAR:
        return window.bar;
      case WINDOW_OFFSET:
        return window.offset;
      case WINDOW_LENGTH:
        return window.length;
      case WINDOW_DATA:
        return window.data;
      default:
        return 0;
    }
  };
  const body = new Uint8Array(WINDOW_BYTES - 2);
  body[0] = WINDOW_BYTES;
  body[1] = CAP_PCI_CFG;
  return {
    id: CAPABILITY_VENDOR,
    body,
    read(offset, width) {
      if (offset === WINDOW_DATA) {
        const length = chosen();
        state().data = length === undefined ? 0 : bar.read(state().offset, length);
      }
      return part(registerAt(offset), offset & 3, width);
    },
    write(offset, width, value) {
      const window = state();
      const shift = 8 * (offset & 3);
      const mask = ((width === 4 ? -1 : (1 << (8 * width)) - 1) << shift) >>> 0;
      const merged = ((registerAt(offset) & ~mask) | ((value << shift) & mask)) >>> 0;
      switch (offset & ~3) {
        case WINDOW_BAR:
          window.bar = merged & 0xff;
          return;
        case WINDOW_OFFSET:
          window.offset = merged;
          return;
        case WINDOW_LENGTH:
          window.length = merged;
          return;
        case WINDOW_DATA: {
          window.data = merged;
          const length = chosen();
          if (length !== undefined) bar.write(window.offset, length, part(merged, 0, length));
        }
      }
    },
  };
}
