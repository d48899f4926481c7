/**
 * Message signalled interrupts: what a write of a device to the local APICs' addresses says (Intel SDM vol. 3, 11.11.1 "Message address
 * register format" and 11.11.2 "Message data register format"). As on other PCs a message goes by what its data says to whatever address
 * beginning with FEEh, also where a guest has moved the registers of its local APIC.
 */
import type { ApicMessage } from './device.ts';

/** Where messages go, and in which form: one entry of a device's table. */
export interface MessageRegisters {
  readonly addressLow: number;
  readonly addressHigh: number;
  readonly data: number;
}

/** Message address: bits 31:20 are fixed. */
const ADDRESS_PREFIX = 0xfee;
const ADDRESS_REDIRECTION_HINT = 1 << 3;
const ADDRESS_LOGICAL = 1 << 2;
/** Message data. */
const DATA_LEVEL_ASSERT = 1 << 14;
const DATA_TRIGGER_LEVEL = 1 << 15;
/** Delivery modes. System management interrupts have no mode here, and ExtINT's vectors come from the 8259 pair by a wire of its own. */
const MODES = ['fixed', 'lowest', undefined, undefined, 'nmi', 'init', undefined, undefined] as const;

/**
 * What local APICs hear of it; undefined where none takes such a message: an address that is not theirs, a delivery mode that is
 * reserved or has no effect, a level that is de-asserted. The destination mode counts without a redirection hint too, as processors
 * have it and systems rely on.
 */
export function decodeMessage({ addressLow, addressHigh, data }: MessageRegisters): ApicMessage | undefined {
  const mode = MODES[((data >> 8) & 7) as 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7];
  if (addressHigh !== 0 || addressLow >>> 20 !== ADDRESS_PREFIX || mode === undefined) return undefined;
  const level = (data & DATA_TRIGGER_LEVEL) !== 0;
  if (level && (data & DATA_LEVEL_ASSERT) === 0) return undefined;
  const isHinted = (addressLow & ADDRESS_REDIRECTION_HINT) !== 0;
  return {
    destination: (addressLow >>> 12) & 0xff,
    logical: (addressLow & ADDRESS_LOGICAL) !== 0,
    mode: mode === 'fixed' && isHinted ? 'lowest' : mode,
    vector: data & 0xff,
    level,
  };
}
