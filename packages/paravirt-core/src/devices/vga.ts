/**
 * The display adapter: a VGA with the Bochs display interface, PCI 1234:1111, as the vgabios of SeaBIOS and Linux's bochs-drm
 * know it from QEMU (docs/specs/standard-vga). Registers are in vga-ports.ts, the legacy window in vga-memory.ts, the display
 * interface in vga-dispi.ts. It draws nothing: `display` gives what display/render.ts needs.
 *
 * Not here: the light pen, vertical retrace interrupts, the sense line of the monitor, odd/even page select, CGA and EGA
 * compatibility switches, borders. As in QEMU, the legacy ports and window answer whatever the PCI command register says, and
 * planes are interleaved: software that writes a cell by one way of addressing and reads it by another sees a fixed arrangement
 * of its own (vga-memory.ts). Unlike in QEMU, dots are panned, text blinks and is underlined, the pixel mask counts, and
 * planar modes of the display interface can be written through the window.
 */
import { TomeiError } from '@tomei/kit';
import { MAX_FRAME_SIDE, strideOf, type DisplayState } from '../display/display-state.ts';
import { AC_PALETTE_ENABLED } from '../display/vga-registers.ts';
import { backendKind, defineDevice, typed, type Parts } from '../machine/device.ts';
import { dispiPorts, framebufferBar, legacyWindow, registerBar, vgaPorts } from './vga-claims.ts';
import { linearMode } from './vga-dispi.ts';
import { startIn, type InitialMode } from './vga-start.ts';
import { vgaState } from './vga-state.ts';

/** Video memory, shared with whoever draws. `size` is a power of two of at least 64 KiB; `bytes` is that long. */
export interface VideoMemory {
  readonly bytes: Uint8Array;
  readonly size: number;
}
/** Without one the adapter has no memory: its window floats and no linear mode can be set. */
export const videoMemoryBackend = backendKind<VideoMemory>('video-memory');

export interface VgaConfig {
  /** What the guest finds at power-on. Default 'reset': firmware sets a mode. */
  readonly initialMode?: InitialMode;
  /** The video BIOS, as an option ROM that firmware finds behind the expansion ROM base address. None when absent. */
  readonly rom?: Uint8Array;
}
export interface VgaParts extends Parts {
  /** The registers that shape the picture now: a copy. */
  display(): DisplayState;
}

const PCI_VENDOR = 0x1234;
const PCI_DEVICE = 0x1111;
const PCI_SUBSYSTEM_VENDOR = 0x1af4;
const PCI_SUBSYSTEM = 0x1100;
const PCI_CLASS_VGA = 0x03_0000;
/** 2: BAR 2 has the registers below. */
const PCI_REVISION = 2;

const SMALLEST_MEMORY = 0x1_0000;

function assertUsable(memory: VideoMemory, mode: InitialMode): void {
  const isPowerOfTwo = memory.size >= SMALLEST_MEMORY && (memory.size & (memory.size - 1)) === 0;
  if (!isPowerOfTwo || memory.bytes.length !== memory.size) {
    throw new TomeiError(
      'vga.bad-memory',
      `video memory of ${memory.size} bytes (${memory.bytes.length} given): use a power of two of 64 KiB or more`,
    );
  }
  if (typeof mode === 'string') return;
  const { width, height, bitsPerPixel } = mode;
  const isSane = [width, height].every((n) => Number.isInteger(n) && n > 0 && n <= MAX_FRAME_SIDE);
  if (!isSane || strideOf(bitsPerPixel, width) * height > memory.size) {
    throw new TomeiError(
      'vga.bad-mode',
      `initial mode ${width}x${height}x${bitsPerPixel} does not fit ${memory.size} bytes of video memory; use a smaller one`,
    );
  }
}

export const vga = defineDevice({
  kind: 'vga',
  version: 1,
  config: typed<VgaConfig>(),
  state: vgaState,
  attach({ config, state, host }): VgaParts {
    const initialMode = config.initialMode ?? 'reset';
    const video = host.backend(videoMemoryBackend);
    if (video !== undefined) assertUsable(video, initialMode);
    const memory = video?.bytes ?? new Uint8Array(0);

    return {
      ports: [...vgaPorts(state, host.clock), dispiPorts(state, memory)],
      memory: [legacyWindow(state, memory)],
      pci: {
        vendorId: PCI_VENDOR,
        deviceId: PCI_DEVICE,
        subsystemVendorId: PCI_SUBSYSTEM_VENDOR,
        subsystemId: PCI_SUBSYSTEM,
        classCode: PCI_CLASS_VGA,
        revision: PCI_REVISION,
        ...(config.rom === undefined ? {} : { rom: { bytes: config.rom } }),
        bars: [
          memory.length === 0 ? undefined : framebufferBar(memory),
          undefined,
          registerBar(state, memory, host.clock),
        ],
      },
      settle() {
        if (state.started) return;
        state.started = true;
        startIn(initialMode, state, memory);
      },
      display: () => ({
        miscOutput: state.miscOutput,
        sequencer: state.sequencer.slice(),
        crtc: state.crtc.slice(),
        graphics: state.graphics.slice(),
        attribute: state.attribute.slice(),
        paletteEnabled: (state.attributeIndex & AC_PALETTE_ENABLED) !== 0,
        pelMask: state.pelMask,
        palette: state.palette.slice(),
        linear: linearMode(state, memory.length),
      }),
    };
  },
});
