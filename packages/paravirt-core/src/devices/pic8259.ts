/**
 * The two cascaded interrupt controllers of a PC (Intel 8259A datasheet, 231468) with the edge/level registers of the PIIX3
 * (82371SB datasheet, 2.5.4). Master lines 0..7, slave lines 8..15, the slave on line 2. As on other emulated boards an edge
 * stays latched when its line falls again before it is acknowledged.
 */
import { bool, nested, pod, u8, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type PortClaim } from '../machine/device.ts';

/** Bits of port A writes (8259A, "Initialization/Operation Command Words"). */
const ICW1_SELECT = 1 << 4;
const ICW1_NEEDS_ICW4 = 1 << 0;
const ICW1_SINGLE = 1 << 1;
const ICW1_LEVEL = 1 << 3;
const OCW3_SELECT = 1 << 3;
const OCW3_READ_REGISTER = 1 << 1;
const OCW3_READ_ISR = 1 << 0;
const OCW3_POLL = 1 << 2;
const OCW3_SET_MASK_MODE = 1 << 6;
const OCW3_SPECIAL_MASK = 1 << 5;
/** OCW2 bits 7:5. */
const OCW2_ROTATE_AEOI_CLEAR = 0;
const OCW2_EOI = 1;
const OCW2_SPECIFIC_EOI = 3;
const OCW2_ROTATE_AEOI_SET = 4;
const OCW2_ROTATE_EOI = 5;
const OCW2_SET_PRIORITY = 6;
const OCW2_ROTATE_SPECIFIC_EOI = 7;
/** ICW4 bits. */
const ICW4_AUTO_EOI = 1 << 1;
const ICW4_SPECIAL_FULLY_NESTED = 1 << 4;

const POLL_PENDING = 0x80;
/** The line that a controller names when its request went away before the acknowledge. */
const SPURIOUS_LINE = 7;
const CASCADE_LINE = 2;
/** Lines that ELCR cannot make level-triggered: timer, keyboard and cascade; clock and coprocessor. */
const ELCR1_WRITABLE = 0xf8;
const ELCR2_WRITABLE = 0xde;

const chipState = pod({
  /** Levels of the inputs. */
  lines: u8(),
  irr: u8(),
  isr: u8(),
  imr: u8(),
  elcr: u8(),
  /** ICW2: bits 7:3 of the vectors. */
  vectorBase: u8(),
  /** Line of highest priority. */
  first: u8(),
  /** Which word the next write to port B is: 0 means OCW1. */
  initStep: u8(),
  needsIcw4: bool(),
  single: bool(),
  levelMode: bool(),
  autoEoi: bool(),
  rotateOnAutoEoi: bool(),
  specialMask: bool(),
  specialFullyNested: bool(),
  readIsr: bool(),
  poll: bool(),
}).check((s) => (s.first < 8 && s.initStep < 5) || "field 'first' is over 7 or 'initStep' over 4");
type Chip = StateOf<typeof chipState>;

const bitOf = (line: number): number => 1 << line;

/** Lines of `bits` in order of priority: the first set one, or -1. */
function highest(chip: Chip, bits: number): number {
  for (let i = 0; i < 8; i++) {
    const line = (chip.first + i) & 7;
    if ((bits & bitOf(line)) !== 0) return line;
  }
  return -1;
}

/** The line that the chip requests an interrupt for, or -1 (8259A, "Fully Nested Mode" and "Special Mask Mode"). */
function requested(chip: Chip, cascaded: boolean): number {
  const line = highest(chip, chip.irr & ~chip.imr);
  if (line < 0) return -1;
  let blocking = chip.isr;
  if (chip.specialMask) blocking &= ~chip.imr;
  // The slave's further requests pass although the cascade line is in service.
  if (cascaded && chip.specialFullyNested) blocking &= ~bitOf(CASCADE_LINE);
  const serving = highest(chip, blocking);
  const rank = (of: number): number => (of - chip.first) & 7;
  return serving < 0 || rank(line) < rank(serving) ? line : -1;
}

const isLevel = (chip: Chip, line: number): boolean => chip.levelMode || (chip.elcr & bitOf(line)) !== 0;

function drive(chip: Chip, line: number, level: boolean): void {
  const bit = bitOf(line);
  const rises = level && (chip.lines & bit) === 0;
  chip.lines = level ? chip.lines | bit : chip.lines & ~bit;
  if (rises || (level && isLevel(chip, line))) chip.irr |= bit;
  else if (!level && isLevel(chip, line)) chip.irr &= ~bit;
}

/** Moves a line into service. */
function accept(chip: Chip, line: number): void {
  if (!isLevel(chip, line)) chip.irr &= ~bitOf(line);
  if (!chip.autoEoi) chip.isr |= bitOf(line);
  else if (chip.rotateOnAutoEoi) chip.first = (line + 1) & 7;
}

function initialise(chip: Chip, icw1: number): void {
  const kept = { lines: chip.lines, elcr: chip.elcr, vectorBase: chip.vectorBase };
  Object.assign(chip, chipState.initial(), kept, {
    initStep: 2,
    needsIcw4: (icw1 & ICW1_NEEDS_ICW4) !== 0,
    single: (icw1 & ICW1_SINGLE) !== 0,
    levelMode: (icw1 & ICW1_LEVEL) !== 0,
  });
  // The edge sense circuit is cleared; level-triggered inputs go on asking.
  for (let line = 0; line < 8; line++) {
    if (isLevel(chip, line) && (chip.lines & bitOf(line)) !== 0) chip.irr |= bitOf(line);
  }
}

function operate(chip: Chip, ocw2: number): void {
  const named = ocw2 & 7;
  const mask = chip.specialMask ? ~chip.imr : 0xff;
  switch (ocw2 >> 5) {
    case OCW2_ROTATE_AEOI_CLEAR:
    case OCW2_ROTATE_AEOI_SET:
      chip.rotateOnAutoEoi = ocw2 >> 5 === OCW2_ROTATE_AEOI_SET;
      return;
    case OCW2_EOI:
    case OCW2_ROTATE_EOI: {
      const line = highest(chip, chip.isr & mask);
      if (line < 0) return;
      chip.isr &= ~bitOf(line);
      if (ocw2 >> 5 === OCW2_ROTATE_EOI) chip.first = (line + 1) & 7;
      return;
    }
    case OCW2_SPECIFIC_EOI:
    case OCW2_ROTATE_SPECIFIC_EOI:
      chip.isr &= ~bitOf(named);
      if (ocw2 >> 5 === OCW2_ROTATE_SPECIFIC_EOI) chip.first = (named + 1) & 7;
      return;
    case OCW2_SET_PRIORITY:
      chip.first = (named + 1) & 7;
  }
}

function writeCommand(chip: Chip, value: number): void {
  if ((value & ICW1_SELECT) !== 0) return initialise(chip, value);
  if ((value & OCW3_SELECT) === 0) return operate(chip, value);
  if ((value & OCW3_POLL) !== 0) chip.poll = true;
  if ((value & OCW3_READ_REGISTER) !== 0) chip.readIsr = (value & OCW3_READ_ISR) !== 0;
  if ((value & OCW3_SET_MASK_MODE) !== 0) chip.specialMask = (value & OCW3_SPECIAL_MASK) !== 0;
}

function writeData(chip: Chip, value: number): void {
  switch (chip.initStep) {
    case 2:
      chip.vectorBase = value & 0xf8;
      chip.initStep = !chip.single ? 3 : chip.needsIcw4 ? 4 : 0;
      return;
    case 3:
      // ICW3 names the cascade wiring, which this board does not change.
      chip.initStep = chip.needsIcw4 ? 4 : 0;
      return;
    case 4:
      chip.autoEoi = (value & ICW4_AUTO_EOI) !== 0;
      chip.specialFullyNested = (value & ICW4_SPECIAL_FULLY_NESTED) !== 0;
      chip.initStep = 0;
      return;
    default:
      chip.imr = value;
  }
}

/** The pair at ports 0x20 and 0xA0, ELCR at 0x4D0. */
export const pic8259 = defineDevice({
  kind: 'pic8259',
  version: 1,
  summary: 'interrupt controllers, master and slave, with ELCR',
  config: typed<Record<string, never>>({}),
  state: pod({ master: nested(chipState), slave: nested(chipState) }),
  attach({ state, host }) {
    const update = (): void => {
      // The slave's output is followed like a level: it may stay up over an acknowledge when more is pending there.
      const cascade = bitOf(CASCADE_LINE);
      state.master.irr = requested(state.slave, false) >= 0 ? state.master.irr | cascade : state.master.irr & ~cascade;
      host.interruptRequest(requested(state.master, true) >= 0);
    };
    /** An acknowledge cycle or a poll, which acts as one; answers the line or -1. */
    const take = (chip: Chip): number => {
      const line = requested(chip, chip === state.master);
      if (line >= 0) accept(chip, line);
      return line;
    };
    const claim = (chip: () => Chip, base: number): PortClaim => ({
      base,
      count: 2,
      unit: 1,
      read(offset) {
        if (chip().poll) {
          chip().poll = false;
          const line = take(chip());
          update();
          return line < 0 ? 0 : POLL_PENDING | line;
        }
        if (offset === 1) return chip().imr;
        return chip().readIsr ? chip().isr : chip().irr;
      },
      write(offset, _width, value) {
        if (offset === 0) writeCommand(chip(), value);
        else writeData(chip(), value);
        update();
      },
    });
    const setElcr = (chip: Chip, value: number): void => {
      chip.elcr = value;
      for (let line = 0; line < 8; line++) {
        if (isLevel(chip, line)) drive(chip, line, (chip.lines & bitOf(line)) !== 0);
      }
      update();
    };

    return {
      ports: [
        claim(() => state.master, 0x20),
        claim(() => state.slave, 0xa0),
        {
          base: 0x4d0,
          count: 2,
          unit: 1,
          read: (offset) => (offset === 0 ? state.master.elcr : state.slave.elcr),
          write(offset, _width, value) {
            if (offset === 0) setElcr(state.master, value & ELCR1_WRITABLE);
            else setElcr(state.slave, value & ELCR2_WRITABLE);
          },
        } satisfies PortClaim,
      ],
      interruptLine(line: number, level: boolean) {
        if (line >= 16 || line === CASCADE_LINE) return;
        drive(line < 8 ? state.master : state.slave, line & 7, level);
        update();
      },
      acknowledge() {
        const line = take(state.master);
        let vector = state.master.vectorBase + (line < 0 ? SPURIOUS_LINE : line);
        if (line === CASCADE_LINE) {
          const inner = take(state.slave);
          vector = state.slave.vectorBase + (inner < 0 ? SPURIOUS_LINE : inner);
        }
        update();
        return vector;
      },
      settle: update,
    };
  },
});
