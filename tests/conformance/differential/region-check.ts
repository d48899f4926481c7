/**
 * Runs a guest with each region of compiled code checked against the interpreter. Whenever a region is entered, the processor's state
 * is kept and the pages are copied that it writes; when it has been left, all is put back and the interpreter executes as many
 * instructions. Registers, flags and memory have to be the same. The guest goes on with what the interpreter made of it.
 *
 * What reaches a device, or reads the time, cannot be done twice: a region is left before such an instruction, which is executed by
 * itself, as on virtual time. Bits that page walks set in page tables are compared only in pages that the guest itself writes.
 */
import { REGION, RUN, instructionText, type Processor, type Translator } from '@tomei/paravirt-core';
import { InterposedTranslator, type RegionPlace, type Run } from './interposed.ts';
import { ProcessorComparison, ProcessorCopy, word } from './processor-copy.ts';
import { WrittenPages, type PageCopies } from './written-pages.ts';

/** The vector of a fault that is none: the instruction is done once more by itself (core/cpu.ts). */
const STEP = 0x101;
/** A run of decoded instructions is longer than its budget by no more than this (core/processor.ts). */
const TAIL = 80;
/** Repetitions of string instructions that no run of a region comes near. */
const AMPLE = 2 ** 30;
/** What a run has used up of its budgets. */
const ACCOUNTS = ['instructionsLeft', 'instructionsReturned', 'pollBudget'] as const;
/** What a fault has recorded. */
const FAULT = ['fault', 'faultVector', 'faultCode'] as const;
/** Deviations that are kept with all that is known of them. */
const MOST_DEVIATIONS = 16;
/** Instructions of a path that are shown, its last ones. */
const MOST_PATH = 400;
/** Bytes of memory that are shown of one page. */
const MOST_BYTES = 8;

/** A run of a region that did something else than the interpreter. */
export interface Deviation {
  readonly place: RegionPlace;
  /** EIP of the region's first instruction. */
  readonly eip: number;
  /** How many instructions the region said that it had executed. */
  readonly instructions: number;
  /** 'eax 00000001, not 00000002': the region's first. */
  readonly differences: readonly string[];
  /** What the interpreter executed, one line each, with registers that changed. */
  readonly path: readonly string[];
}
export interface CheckCounts {
  /** Regions that were entered at all, and how often any was. */
  regions: number;
  runs: number;
  /** Runs that did the same, and the instructions in them. */
  same: number;
  instructions: number;
  /** Runs that ended before an access to a device, and by a fault. */
  devices: number;
  faults: number;
  /**
   * Runs that were not compared, and went on as the region had it: it was left between two repetitions of a string instruction, since
   * it wrote over code, or had repeated it for long. The interpreter, whose code is forgotten already, would not have stopped there.
   */
  repetitions: number;
  /** Runs that were broken off and taken back: page tables lay in a device. */
  skipped: number;
  /** Runs that deviated. */
  deviations: number;
}
interface Engine {
  run(entry: number, budget: number): number;
}
interface Stretch {
  /** A RUN code. */
  readonly how: number;
  readonly executed: number;
}
/** An instruction's fault, or what else keeps the interpreter from doing what the region did. */
class Derailed extends Error {}

export class RegionCheck {
  readonly counts: CheckCounts = {
    ...{ regions: 0, runs: 0, same: 0, instructions: 0, deviations: 0 },
    ...{ devices: 0, faults: 0, repetitions: 0, skipped: 0 },
  };
  /** The first of them, one for each region. */
  readonly deviations: Deviation[] = [];
  /** To be given to the compiling engine; whoever made the check closes it. */
  readonly translator: Translator;
  private readonly deviating = new Set<number>();
  private processor!: Processor;
  private engine!: Engine;
  private pages!: WrittenPages;
  private comparison!: ProcessorComparison;
  private before!: ProcessorCopy;
  private after!: ProcessorCopy;
  private reference!: ProcessorCopy;
  /** Who executes: the guest as ever, a region, or the interpreter that repeats it. */
  private phase: 'free' | 'region' | 'reference' = 'free';

  constructor(translator: Translator) {
    this.translator = new InterposedTranslator(translator, (run, place) => this.checked(run, place));
  }

  /** To be called before the processor runs. */
  attach(processor: Processor): void {
    const { cpu } = (this.processor = processor);
    this.engine = Reflect.get(processor, 'engine') as Engine;
    this.pages = new WrittenPages(processor);
    this.before = new ProcessorCopy(cpu);
    this.after = new ProcessorCopy(cpu);
    this.reference = new ProcessorCopy(cpu);
    this.comparison = new ProcessorComparison(this.before.bytes.length);
    this.guardBus();
  }
  /** Everything outside of the processor is out of reach until an instruction is executed by itself. */
  private guardBus(): void {
    const { bus } = this.processor.cpu;
    const guarded = <A extends unknown[], R>(access: (...args: A) => R): ((...args: A) => R) => {
      const bound = access.bind(bus);
      return (...args) => {
        if (this.phase !== 'free') this.processor.cpu.raise(STEP);
        return bound(...args);
      };
    };
    bus.portRead = guarded(bus.portRead);
    bus.portWrite = guarded(bus.portWrite);
    bus.memoryRead = guarded(bus.memoryRead);
    bus.memoryWrite = guarded(bus.memoryWrite);
    bus.timestamp = guarded(bus.timestamp);
    bus.readDeadline = guarded(bus.readDeadline);
    bus.writeDeadline = guarded(bus.writeDeadline);
    bus.apicBase = guarded(bus.apicBase);
    if (bus.portReadBlock !== undefined) bus.portReadBlock = guarded(bus.portReadBlock);
    if (bus.portWriteBlock !== undefined) bus.portWriteBlock = guarded(bus.portWriteBlock);
  }

  private checked(run: Run, place: RegionPlace): Run {
    let isNew = true;
    return (left) => {
      const { cpu } = this.processor,
        eip = (cpu.get('pageEip') + (place.linear & 0xfff)) >>> 0;
      if (this.phase !== 'free') {
        // One region has led to another one: each is checked by itself.
        cpu.set('eip', eip);
        cpu.set('instructionsLeft', left);
        return REGION.next;
      }
      if (isNew) this.counts.regions++;
      isNew = false;
      this.counts.runs++;
      return this.runChecked(run, place, eip, left);
    };
  }
  private runChecked(run: Run, place: RegionPlace, eip: number, left: number): number {
    const { before, after, counts, pages } = this,
      { cpu } = this.processor;
    cpu.set('eip', eip);
    before.take(cpu);
    pages.begin();
    const how = this.runRegion(run, left);
    const old = pages.end();
    if (how === undefined) {
      counts.skipped++;
      pages.putBack(old);
      before.putBack(cpu);
      pages.release(old);
      cpu.set('instructionsLeft', left);
      return REGION.bail;
    }
    if (how === REGION.restart) {
      counts.repetitions++;
      pages.release(old);
      return how;
    }
    after.take(cpu);
    const made = pages.copyOf(old),
      executed = left - after.field('instructionsLeft');
    this.countEnd(how);
    pages.putBack(old);
    before.putBack(cpu);
    const differences = this.repeat(executed, how, old, made);
    if (differences.length === 0) {
      counts.same++;
      counts.instructions += executed;
    } else {
      counts.deviations++;
      if (!this.deviating.has(place.physical) && this.deviations.length < MOST_DEVIATIONS) {
        this.deviating.add(place.physical);
        this.deviations.push({ place, eip, instructions: executed, differences, path: this.path(executed, old) });
      }
    }
    pages.release(old);
    pages.release(made);
    for (const account of ACCOUNTS) cpu.set(account, after.field(account));
    cpu.set('exit', cpu.get('exit') | after.field('exit'));
    return how;
  }

  /** Undefined when it was broken off in its middle, by an access of a page walk. */
  private runRegion(run: Run, left: number): number | undefined {
    this.phase = 'region';
    try {
      return run(left);
    } catch (error) {
      // What a page walk throws is no Error.
      if (error instanceof Error) throw error;
      return undefined;
    } finally {
      this.phase = 'free';
    }
  }
  private countEnd(how: number): void {
    const { counts, after } = this;
    if (how === REGION.fault && after.field('faultVector') === STEP) counts.devices++;
    else if (how === REGION.fault) counts.faults++;
  }

  /** Has the interpreter do the same, and says what came out otherwise. `old` becomes the pages that either has written. */
  private repeat(executed: number, how: number, old: PageCopies, made: PageCopies): string[] {
    const { pages, reference, after } = this,
      { cpu } = this.processor;
    const derailed = this.inReference(() => {
      this.interpret(executed);
      // The instruction may have been done in part, a string instruction for one.
      if (how === REGION.fault) this.interpretFault();
    });
    reference.take(cpu);
    // Before it bails a region has looked for a page, and CR2 may say so; the interpreter runs into the same afterwards.
    const except = new Set(how === REGION.bail ? ['cr2'] : []);
    if (how === REGION.fault)
      for (const field of FAULT) {
        const is = after.field(field),
          wanted = reference.field(field);
        if (is !== wanted) derailed.push(`${field} ${word(is)}, not ${word(wanted)}`);
      }
    const found = [...derailed, ...this.comparison.differences(after, reference, except)];
    const written = pages.end();
    for (const [host, bytes] of written) {
      if (old.has(host)) continue;
      old.set(host, bytes);
      // The region has left the page alone.
      made.set(host, bytes.slice());
      written.delete(host);
    }
    pages.release(written);
    const inMemory = [...made].flatMap(([host, bytes]) => this.pageDifferences(host, bytes));
    if (inMemory.length > 0 && how === REGION.bail) return [...found, ...this.notRepeated(made)];
    return [...found, ...inMemory];
  }
  /**
   * A region that bails may have made the first stores of the instruction that it leaves to the interpreter (PUSHA), which makes them
   * once more. Says in what else memory differs.
   */
  private notRepeated(made: PageCopies): string[] {
    const { pages, reference } = this,
      { cpu } = this.processor;
    // Whether it then goes through or faults, its first stores are done.
    this.inReference(() => void this.upTo(1));
    const before = pages.end();
    const found = [...made].flatMap(([host, bytes]) => this.pageDifferences(host, bytes, before.get(host)));
    pages.putBack(before);
    pages.release(before);
    reference.putBack(cpu);
    return found;
  }
  private inReference(body: () => void): string[] {
    const { cpu } = this.processor;
    this.pages.begin();
    this.phase = 'reference';
    cpu.allowCompiled(false);
    // The region has not stopped to look at interrupts, so the interpreter must not either.
    cpu.set('pollBudget', AMPLE);
    try {
      body();
    } catch (error) {
      if (!(error instanceof Derailed)) throw error;
      return [error.message];
    } finally {
      cpu.allowCompiled(true);
      this.phase = 'free';
    }
    return [];
  }
  /** Executes exactly so many instructions from EIP on, as `Processor.run` does it. */
  private interpret(count: number): void {
    const { cpu } = this.processor;
    for (let done = 0; done < count;) {
      const left = count - done;
      const { how, executed } = left > 2 * TAIL ? this.stretch(left - TAIL) : this.upTo(left);
      done += executed;
      // What was left between two repetitions of a string instruction goes on with the rest of them.
      if (how === RUN.fault) {
        const vector = cpu.get('faultVector'),
          what = vector === STEP ? 'reaches a device' : `faults with ${vector}`;
        throw new Derailed(`the interpreter ${what} at ${word(cpu.get('eip'))}, after ${done} of ${count}`);
      }
    }
  }
  /** The instruction at EIP is one that faults. */
  private interpretFault(): void {
    let { how } = this.upTo(1);
    while (how === RUN.restart) ({ how } = this.upTo(1));
    if (how !== RUN.fault) throw new Derailed('the interpreter does not fault where the region did');
  }
  /** At most so many instructions, and no further than the next transfer. */
  private upTo(count: number): Stretch {
    const { cpu, code } = this.processor;
    let entry = 0;
    try {
      entry = code.stopAfter(cpu.get('eip'), count);
    } catch (error) {
      // What services throw is no Error.
      if (error instanceof Error) throw error;
      throw new Derailed(`the interpreter cannot fetch at ${word(cpu.get('eip'))}`);
    }
    const stretch = this.stretch(1, entry);
    code.unstop();
    return stretch;
  }
  private stretch(budget: number, entry = 0): Stretch {
    const { cpu } = this.processor;
    for (const field of ['exit', 'fault', 'instructionsReturned'] as const) cpu.set(field, 0);
    const how = this.engine.run(entry, budget);
    return { how, executed: budget - (cpu.get('instructionsLeft') | 0) - (cpu.get('instructionsReturned') | 0) };
  }

  /** Where a page that a region has made is neither as it is now nor, if that is given, as it was before. */
  private pageDifferences(host: number, made: Uint8Array, before?: Uint8Array): string[] {
    const { u8 } = this.processor.cpu;
    const now = u8.subarray(host, host + made.length);
    if (Buffer.compare(now, made) === 0) return [];
    const differing = [...made.keys()].filter((i) => made[i] !== now[i] && made[i] !== before?.[i]);
    if (differing.length === 0) return [];
    const shown = differing
      .slice(0, MOST_BYTES)
      .map((i) => `+${i.toString(16)} ${made[i]!.toString(16)} not ${now[i]!.toString(16)}`);
    return [`memory at host page ${word(host)}: ${shown.join(', ')}${differing.length > MOST_BYTES ? ', ...' : ''}`];
  }

  /** Once more from the beginning, an instruction at a time. Memory and processor are left as the interpreter has made them. */
  private path(executed: number, old: PageCopies): string[] {
    const { pages, processor } = this,
      { cpu } = processor,
      made = pages.copyOf(old),
      end = this.reference;
    const lines: string[] = [];
    pages.putBack(old);
    this.before.putBack(cpu);
    const derailed = this.inReference(() => {
      for (let n = 0; n < executed; n++) {
        const text = this.instructionHere(),
          registers = this.registers();
        this.interpret(1);
        const changed = this.registers().flatMap((now, i) => (now === registers[i] ? [] : [now]));
        lines.push(`${text.padEnd(50)} ${changed.join(' ')}`.trimEnd());
      }
      lines.push(`${this.instructionHere().padEnd(50)} where the region was left`);
    });
    pages.release(pages.end());
    pages.putBack(made);
    pages.release(made);
    end.putBack(cpu);
    return [...lines.slice(-MOST_PATH), ...derailed];
  }
  /** The instruction at EIP, with its address. */
  private instructionHere(): string {
    const { cpu, code } = this.processor,
      address = cpu.get('eip'),
      instruction = code.instructionAt(address);
    return `${word(address)}  ${typeof instruction === 'string' ? instruction : instructionText(instruction, { address, big: true })}`;
  }
  private registers(): string[] {
    const { cpu } = this.processor,
      names = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];
    return [...names.map((name, i) => `${name}=${word(cpu.getRegister(i))}`), `eflags=${word(cpu.eflags)}`];
  }
}

/** A deviation for people. */
export function describeDeviation({ place, eip, instructions, differences, path }: Deviation): string {
  return [
    `the region at ${word(eip)} (physical ${word(place.physical)}, mode ${place.mode}) differs after ${instructions} instructions:`,
    ...differences.map((line) => `  ${line}`),
    'the interpreter executed:',
    ...path.map((line) => `  ${line}`),
  ].join('\n');
}
