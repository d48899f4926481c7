/** Every device there is: one line each, by the kind that snapshots and documents name it by. */
import { coprocessorError } from './coprocessor-error.ts';
import { debugExit } from './debug-exit.ts';
import { debugcon } from './debugcon.ts';
import { i440fxHost, piix3 } from './i440fx.ts';
import { ioapic } from './ioapic.ts';
import { lapic } from './lapic.ts';
import { pic8259 } from './pic8259.ts';
import { pit8254 } from './pit8254.ts';
import { ps2 } from './ps2.ts';
import { rtcCmos } from './rtc-cmos.ts';
import { uart16550 } from './uart16550.ts';
import { vga } from './vga.ts';
import { virtioBlock } from './virtio/block.ts';

export const devices = [
  ['coprocessor-error', coprocessorError],
  ['debug-exit', debugExit],
  ['debugcon', debugcon],
  ['i440fx-host', i440fxHost],
  ['ioapic', ioapic],
  ['lapic', lapic],
  ['pic8259', pic8259],
  ['piix3', piix3],
  ['pit8254', pit8254],
  ['ps2', ps2],
  ['rtc-cmos', rtcCmos],
  ['uart16550', uart16550],
  ['vga', vga],
  ['virtio-block', virtioBlock],
] as const;
