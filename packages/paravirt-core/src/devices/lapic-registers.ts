/** Registers of the local APIC by name (Intel SDM vol. 3, table 11-1 and the figures of chapter 11), and its 256-bit registers. */
import { array, u32, type Field } from '@tomei/kit';

export const LAPIC_BASE = 0xfee0_0000;
export const LAPIC_SIZE = 0x1000;

export const APIC_ID = 0x020;
export const APIC_VERSION = 0x030;
export const APIC_TPR = 0x080;
export const APIC_APR = 0x090;
export const APIC_PPR = 0x0a0;
export const APIC_EOI = 0x0b0;
export const APIC_RRD = 0x0c0;
export const APIC_LDR = 0x0d0;
export const APIC_DFR = 0x0e0;
export const APIC_SVR = 0x0f0;
export const APIC_ISR = 0x100;
export const APIC_TMR = 0x180;
export const APIC_IRR = 0x200;
export const APIC_ESR = 0x280;
export const APIC_ICR_LOW = 0x300;
export const APIC_ICR_HIGH = 0x310;
export const APIC_LVT_TIMER = 0x320;
export const APIC_LVT_ERROR = 0x370;
export const APIC_TIMER_INITIAL = 0x380;
export const APIC_TIMER_CURRENT = 0x390;
export const APIC_TIMER_DIVIDE = 0x3e0;

/** Version 0x14 with six local vectors (11.4.8). */
export const VERSION = 0x0005_0014;

/** Spurious-interrupt vector register (11.9). */
export const SVR_ENABLED = 1 << 8;
export const SVR_WRITABLE = 0x3ff;

/** Local vector table (11.5.1). */
export const LVT_MASKED = 1 << 16;
/** Modes of the timer (table 11-2): one-shot is 0, and both bits are reserved. */
export const LVT_TIMER_MODE = 3 << 17;
export const LVT_PERIODIC = 1 << 17;
export const LVT_DEADLINE = 2 << 17;
/** LINT0 and LINT1 alone: a level is awaited; remote IRR says that one was taken and not ended, and cannot be written. */
export const LVT_LEVEL = 1 << 15;
export const LVT_REMOTE_IRR = 1 << 14;
export const LVT_MODE = 7 << 8;
export const LVT_MODE_FIXED = 0 << 8;
export const LVT_MODE_NMI = 4 << 8;
export const LVT_MODE_EXTINT = 7 << 8;
/** Places of the entries in the table. */
export const TIMER = 0;
export const LINT0 = 3;
export const LINT1 = 4;
export const ERROR = 5;
export const LVT_ENTRIES = 6;
/** What the guest may change, entry by entry: timer, thermal, performance, LINT0, LINT1, error. */
export const LVT_WRITABLE = [0x0007_00ff, 0x0001_07ff, 0x0001_07ff, 0x0001_a7ff, 0x0001_a7ff, 0x0001_00ff] as const;

/** Error status register (11.5.3). */
export const ESR_SEND_ILLEGAL_VECTOR = 1 << 5;
export const ESR_RECEIVE_ILLEGAL_VECTOR = 1 << 6;
export const ESR_ILLEGAL_REGISTER = 1 << 7;

/** Interrupt command register (11.6.1). */
export const ICR_LOGICAL = 1 << 11;
export const ICR_LEVEL_ASSERT = 1 << 14;
export const ICR_TRIGGER_LEVEL = 1 << 15;
export const ICR_WRITABLE = 0x000c_cfff;
export const ICR_MODES = ['fixed', 'lowest', 'smi', undefined, 'nmi', 'init', 'startup', undefined] as const;
export const SHORTHAND_NONE = 0;
export const SHORTHAND_SELF = 1;
export const SHORTHAND_ALL_BUT_SELF = 3;

/** IA32_APIC_BASE (11.4.3 and 11.4.4). */
export const BASE_ENABLED = 1 << 11;
export const BASE_BOOT_PROCESSOR = 1 << 8;

/** The lowest vector that may be delivered (11.5.2). */
export const FIRST_VECTOR = 16;

/** 256 bits as eight words, vector 0 lowest. */
export const vectors = (): Field<number[]> => array(8, () => u32());
export const hasVector = (words: readonly number[], vector: number): boolean =>
  (words[vector >> 5]! & (1 << (vector & 31))) !== 0;
export function setVector(words: number[], vector: number, value: boolean): void {
  const bit = 1 << (vector & 31);
  const word = words[vector >> 5]!;
  words[vector >> 5] = (value ? word | bit : word & ~bit) >>> 0;
}
/** The highest vector that is set, or -1. */
export function highestVector(words: readonly number[]): number {
  for (let i = 7; i >= 0; i--) {
    const word = words[i]!;
    if (word !== 0) return i * 32 + 31 - Math.clz32(word);
  }
  return -1;
}
/** Whether a vector that is set is the only one. */
export function isAlone(words: readonly number[], vector: number): boolean {
  for (let i = 0; i < words.length; i++) {
    const expected = i === vector >> 5 ? (1 << (vector & 31)) >>> 0 : 0;
    if (words[i] !== expected) return false;
  }
  return true;
}
