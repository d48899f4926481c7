/** A processor's x87, MMX and SSE state as an FXSAVE image, and back (Intel SDM vol. 1, "FXSAVE Area"). */
import { OFFSET, type Cpu } from '@tomei/paravirt-core';
import {
  FX,
  FX_ENTRY,
  FX_REGISTERS,
  FX_SIZE,
  ST_SIZE,
  fcwOf,
  fswOf,
  ftwOf,
  mxcsrOf,
  normalizeFx,
  xmmOf,
} from '../fxsave.ts';

const TOP_SHIFT = 11;
const TOP_MASK = 7 << TOP_SHIFT;
/** Control word: the bits that can be chosen, and the one that is always set. */
const CONTROL_DEFINED = 0x1f3f,
  CONTROL_ONES = 0x40;
/** Status word: exceptions; what is loaded as it is; summary and busy, which follow from unmasked exceptions. */
const EXCEPTIONS = 0x3f,
  STATUS_LOADED = 0x477f,
  STATUS_PENDING = 0x8080;

/** Sets the state from an image. */
export function loadFx(cpu: Cpu, image: Uint8Array): void {
  const status = fswOf(image);
  const top = (status & TOP_MASK) >> TOP_SHIFT;
  const control = (fcwOf(image) & CONTROL_DEFINED) | CONTROL_ONES;
  const pending = (status & ~control & EXCEPTIONS) !== 0;
  cpu.set('fpuControl', control);
  cpu.set('fpuStatus', (status & STATUS_LOADED) | (pending ? STATUS_PENDING : 0));
  cpu.set('fpuTop', top);
  cpu.set('fpuTags', ~ftwOf(image) & 0xff); // bit n: register n is empty
  cpu.set('mxcsr', mxcsrOf(image));
  for (let i = 0; i < FX_REGISTERS; i++) {
    const from = FX.st + i * FX_ENTRY;
    const to = cpu.base + OFFSET.fpr + ((top + i) & 7) * FX_ENTRY;
    cpu.u8.fill(0, to, to + FX_ENTRY);
    cpu.u8.set(image.subarray(from, from + ST_SIZE), to);
    cpu.u8.set(xmmOf(image, i), cpu.base + OFFSET.xmm + i * FX_ENTRY);
  }
}

/** The state as `normalizeFx` leaves an image. */
export function fxOf(cpu: Cpu): Uint8Array {
  const image = new Uint8Array(FX_SIZE);
  const view = new DataView(image.buffer);
  const top = cpu.get('fpuTop') & 7;
  view.setUint16(FX.fcw, cpu.get('fpuControl'), true);
  view.setUint16(FX.fsw, (cpu.get('fpuStatus') & ~TOP_MASK) | (top << TOP_SHIFT), true);
  image[FX.ftw] = ~cpu.get('fpuTags') & 0xff;
  view.setUint32(FX.mxcsr, cpu.get('mxcsr'), true);
  for (let i = 0; i < FX_REGISTERS; i++) {
    const from = cpu.base + OFFSET.fpr + ((top + i) & 7) * FX_ENTRY;
    image.set(cpu.u8.subarray(from, from + ST_SIZE), FX.st + i * FX_ENTRY);
    const xmm = cpu.base + OFFSET.xmm + i * FX_ENTRY;
    image.set(cpu.u8.subarray(xmm, xmm + FX_ENTRY), FX.xmm + i * FX_ENTRY);
  }
  return normalizeFx(image);
}
