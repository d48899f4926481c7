/**
 * The script by which a machine tells its firmware where tables go and what in them depends on that: allocate a file, add an
 * address to a pointer, sum up bytes (QEMU, hw/acpi/bios-linker-loader: commands of 128 bytes). Without firmware, `carryOut` does
 * the same.
 */
import type { FirmwareFile } from '../../machine/firmware-items.ts';

export const LOADER_FILE = 'etc/table-loader';

const COMMAND_BYTES = 128;
const NAME_BYTES = 56;
const ALLOCATE = 1;
const ADD_POINTER = 2;
const ADD_CHECKSUM = 3;
/** Above 1 MiB, or in the last 64 KiB below it where systems search for signatures. */
const ZONES = { high: 1, 'f-segment': 2 } as const;
export type LoaderZone = keyof typeof ZONES;

type Step =
  | { readonly kind: 'allocate'; readonly file: string; readonly align: number; readonly zone: LoaderZone }
  | { readonly kind: 'pointer'; readonly file: string; readonly to: string; readonly at: number; readonly width: 4 | 8 }
  | {
      readonly kind: 'checksum';
      readonly file: string;
      readonly at: number;
      readonly from: number;
      readonly length: number;
    };

export class LoaderScript {
  private readonly steps: Step[] = [];

  /** Puts a file into memory, at a multiple of `align` bytes. */
  allocate(file: string, align: number, zone: LoaderZone): this {
    this.steps.push({ kind: 'allocate', file, align, zone });
    return this;
  }
  /** The `width` bytes at offset `at` hold an offset into `to`: its address is added. */
  addPointer(file: string, to: string, at: number, width: 4 | 8): this {
    this.steps.push({ kind: 'pointer', file, to, at, width });
    return this;
  }
  /** Makes the bytes `from .. from + length - 1` add up to 0, by the one at offset `at`. */
  addChecksum(file: string, at: number, from: number, length: number): this {
    this.steps.push({ kind: 'checksum', file, at, from, length });
    return this;
  }

  /** As SeaBIOS reads it. */
  encode(): FirmwareFile {
    const bytes = new Uint8Array(this.steps.length * COMMAND_BYTES),
      view = new DataView(bytes.buffer);
    const text = (at: number, s: string): void => bytes.set(new TextEncoder().encode(s), at);
    this.steps.forEach((step, i) => {
      const at = i * COMMAND_BYTES,
        first = at + 4,
        second = first + NAME_BYTES;
      text(first, step.file);
      if (step.kind === 'allocate') {
        view.setUint32(at, ALLOCATE, true);
        view.setUint32(second, step.align, true);
        view.setUint8(second + 4, ZONES[step.zone]);
      } else if (step.kind === 'pointer') {
        view.setUint32(at, ADD_POINTER, true);
        text(second, step.to);
        view.setUint32(second + NAME_BYTES, step.at, true);
        view.setUint8(second + NAME_BYTES + 4, step.width);
      } else {
        view.setUint32(at, ADD_CHECKSUM, true);
        view.setUint32(second, step.at, true);
        view.setUint32(second + 4, step.from, true);
        view.setUint32(second + 8, step.length, true);
      }
    });
    return { name: LOADER_FILE, bytes };
  }

  /** The files as they are in memory once `place` has given each its address; the originals stay as they were. */
  carryOut(
    files: readonly FirmwareFile[],
    place: (size: number, align: number, zone: LoaderZone) => number,
  ): readonly { readonly address: number; readonly bytes: Uint8Array }[] {
    const placed = new Map<string, { address: number; bytes: Uint8Array; view: DataView }>();
    for (const step of this.steps) {
      if (step.kind === 'allocate') {
        const bytes = files.find((file) => file.name === step.file)!.bytes.slice();
        const address = place(bytes.length, step.align, step.zone);
        placed.set(step.file, { address, bytes, view: new DataView(bytes.buffer) });
      } else if (step.kind === 'pointer') {
        const { view } = placed.get(step.file)!;
        view.setUint32(step.at, view.getUint32(step.at, true) + placed.get(step.to)!.address, true);
      } else {
        const { bytes } = placed.get(step.file)!;
        const rest = bytes.subarray(step.from, step.from + step.length).reduce((sum, byte) => sum + byte, 0);
        bytes[step.at] = bytes[step.at]! - rest;
      }
    }
    return [...placed.values()].map(({ address, bytes }) => ({ address, bytes }));
  }
}
