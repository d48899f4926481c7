/** Every device there is: one line each, by the kind that snapshots and documents name it by. */
import { piix4Pm } from './acpi-pm.ts';
import { coprocessorError } from './coprocessor-error.ts';
import { debugExit } from './debug-exit.ts';
import { debugcon } from './debugcon.ts';
import { e1000 } from './e1000/e1000.ts';
import { dma8237 } from './dma8237.ts';
import { fdc82077 } from './floppy/fdc82077.ts';
import { fwCfg } from './fw-cfg.ts';
import { hpet } from './hpet.ts';
import { i440fxHost, piix3 } from './i440fx.ts';
import { piixIde } from './ide/piix-ide.ts';
import { ioapic } from './ioapic.ts';
import { lapic } from './lapic.ts';
import { pic8259 } from './pic8259.ts';
import { pit8254 } from './pit8254.ts';
import { ps2 } from './ps2.ts';
import { rtcCmos } from './rtc-cmos.ts';
import { uart16550 } from './uart16550.ts';
import { vga } from './vga.ts';
import { virtio9p } from './virtio/9p.ts';
import { virtioBalloon } from './virtio/balloon.ts';
import { virtioBlock } from './virtio/block.ts';
import { virtioConsole } from './virtio/console.ts';
import { virtioGpu } from './virtio/gpu.ts';
import { virtioInput } from './virtio/input.ts';
import { virtioNet } from './virtio/net.ts';
import { virtioRng } from './virtio/rng.ts';
import { virtioVsock } from './virtio/vsock.ts';

export const devices = [
  ['acpi-pm', piix4Pm],
  ['coprocessor-error', coprocessorError],
  ['debug-exit', debugExit],
  ['debugcon', debugcon],
  ['dma8237', dma8237],
  ['e1000', e1000],
  ['fdc82077', fdc82077],
  ['fw-cfg', fwCfg],
  ['hpet', hpet],
  ['i440fx-host', i440fxHost],
  ['ioapic', ioapic],
  ['lapic', lapic],
  ['pic8259', pic8259],
  ['piix-ide', piixIde],
  ['piix3', piix3],
  ['pit8254', pit8254],
  ['ps2', ps2],
  ['rtc-cmos', rtcCmos],
  ['uart16550', uart16550],
  ['vga', vga],
  ['virtio-9p', virtio9p],
  ['virtio-balloon', virtioBalloon],
  ['virtio-block', virtioBlock],
  ['virtio-console', virtioConsole],
  ['virtio-gpu', virtioGpu],
  ['virtio-input', virtioInput],
  ['virtio-net', virtioNet],
  ['virtio-rng', virtioRng],
  ['virtio-vsock', virtioVsock],
] as const;
