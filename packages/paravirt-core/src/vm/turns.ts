/**
 * The processors of one guest, which take turns on the thread that runs it. One executes at a time, until its turn is over, it halts, or
 * it says by PAUSE that it waits for another, or by a hypercall whom to go on with. So what one has written is there when the next one goes
 * on, LOCK needs nothing, and who runs when depends on what the guest does alone.
 */
import type { Nanoseconds } from '@tomei/kit';
import { SHADOW } from '../core/layout.ts';
import type { Processor, StopReason } from '../core/processor.ts';
import { CS } from '../isa/build.ts';

/** Work of a turn: some 0.1 ms. */
const TURN = 50_000;
/** What is left of a turn once another processor has been interrupted: enough to leave what that one may wait for. */
const REST = 2000;
/** Processors hear of waiting when it is so many nanoseconds. */
const LEAST_TOLD = 1_000_000;
/** Code of real-address mode (SDM vol. 3, table 10-1). */
const REAL_LIMIT = 0xffff,
  REAL_ATTRIBUTES = 0x93;

/** Where turns stand, as it is saved. */
export interface TurnState {
  /** Who executes, and how much work is left of the turn. */
  readonly turn: number;
  readonly left: number;
  /** Whose turn it is: another one's where that has given it away. */
  readonly place: number;
  /** By processor: whether it waits for a start-up message. */
  readonly waiting: readonly boolean[];
}
/** What processors do not know of themselves. */
export interface TurnSurroundings {
  /** Whether a hypercall has woken a processor; it is so once. */
  takeKick(index: number): boolean;
  /** The machine's time where it is real: processors hear for how long they waited for their turns then. */
  readonly now: (() => Nanoseconds) | undefined;
  waited(index: number, nanoseconds: number): void;
  /** A processor waits for its turn, and could go on with a program. */
  preempted(index: number): void;
  /** It has its turn; whether its translations are to be forgotten first. */
  resumes(index: number): boolean;
  /**
   * A processor that waits is started: undefined leaves it to the processor, which begins at the page of the message. Otherwise whether it
   * has been started: one that has not goes on waiting.
   */
  start(index: number, processor: Processor): boolean | undefined;
}
/** INIT, or start-up with the page where code begins (SDM vol. 3, 9.4.3). */
interface Message {
  readonly to: number;
  readonly page: number | undefined;
}

export class Turns {
  /** The first one is the bootstrap processor. */
  readonly processors: readonly Processor[];
  /** The one whose turn it is. */
  acting: Processor;
  private turn = 0;
  /** The one from which on the next turn is counted: one that got its turn as a gift comes again when it is its own. */
  private place = 0;
  private left = TURN;
  private waiting: boolean[];
  private messages: Message[] = [];
  private executes = false;
  /** While one executes: the rest of its turn is to be short, or nothing. */
  private hurries = false;
  private pauses = false;
  /** To whom the one that executes gives its turn. */
  private heir: number | undefined;
  private isCut = false;
  private readonly around: TurnSurroundings;
  /** By processor, nanoseconds for which it could have executed while others did, and has not been told of. */
  private readonly owed: Float64Array;

  constructor(processors: readonly Processor[], around: TurnSurroundings) {
    this.processors = processors;
    this.around = around;
    this.owed = new Float64Array(processors.length);
    this.acting = processors[0]!;
    this.waiting = processors.map((_, index) => index > 0);
    if (!this.isAlone) for (const { code } of processors) code.onPause = () => this.paused();
  }

  get isAlone(): boolean {
    return this.processors.length === 1;
  }
  /** The number of the one whose turn it is. */
  get index(): number {
    return this.turn;
  }
  /** Of all processors since they were made, and instructions since power-on. */
  get work(): number {
    const { processors } = this;
    let sum = 0;
    for (let i = 0; i < processors.length; i++) sum += processors[i]!.work;
    return sum;
  }
  get instructions(): number {
    return this.processors.reduce((sum, { instructions }) => sum + instructions, 0);
  }

  /** As after power-on: application processors wait to be started (9.4.2). */
  reset(): void {
    for (const { cpu } of this.processors) cpu.reset();
    this.messages = [];
    this.load({ turn: 0, left: TURN, place: 0, waiting: this.processors.map((_, index) => index > 0) });
  }
  save(): TurnState {
    return { turn: this.turn, left: Math.max(0, this.left), place: this.place, waiting: [...this.waiting] };
  }
  load({ turn, left, place, waiting }: TurnState): void {
    this.turn = turn;
    this.place = place;
    this.acting = this.processors[turn]!;
    this.left = left;
    this.waiting = [...waiting];
  }

  /** Whether some processor would take an interrupt, or goes on by itself. */
  get canWake(): boolean {
    return this.processors.some((each, index) => this.waiting[index] !== true && (each.canWake || !each.sleeps));
  }

  /** Finds out who executes next; false when all of them sleep. Alone, a processor finds out by itself. */
  choose(): boolean {
    if (this.isAlone) return true;
    this.takeMessages();
    if (this.left > 0 && this.goesOn(this.turn)) return true;
    const { length } = this.processors;
    for (let n = 1; n <= length; n++) {
      const index = (this.place + n) % length;
      if (!this.goesOn(index)) continue;
      this.begin(index);
      this.place = index;
      return true;
    }
    return false;
  }
  private begin(index: number): void {
    const { around, turn: before } = this;
    if (index !== before) {
      if (this.waiting[before] !== true && this.isPreempted(this.acting)) around.preempted(before);
      this.turn = index;
      this.acting = this.processors[index]!;
      if (around.resumes(index)) this.acting.mmu.renew();
    }
    this.left = TURN;
  }
  /**
   * Whether others hear that a processor waits: when it executes a program. One that is in its system's code may hold a lock, and who wants
   * that comes to PAUSE, by which it gets its turn; told that it waits, Linux would put the other one to sleep, which takes much longer.
   */
  private isPreempted({ cpu, sleeps }: Processor): boolean {
    return !sleeps && cpu.get('cpl') !== 0;
  }
  private goesOn(index: number): boolean {
    if (this.waiting[index] === true) return false;
    return !this.processors[index]!.sleeps || this.wakeByKick(index);
  }
  private wakeByKick(index: number): boolean {
    if (!this.around.takeKick(index)) return false;
    this.processors[index]!.wake();
    return true;
  }

  /** The one whose turn it is executes as `Processor.run` has it, and no longer than its turn is. */
  run(budget: number, exactly: boolean): StopReason {
    const { acting } = this;
    if (this.isAlone) {
      const how = acting.run(budget, exactly);
      this.isCut = how === 'halted' && this.wakeByKick(0);
      return this.isCut ? 'budget' : how;
    }
    const { now } = this.around,
      began = now?.() ?? 0,
      before = acting.work;
    this.hurries = this.pauses = false;
    this.heir = undefined;
    this.executes = true;
    const how = acting.run(Math.min(budget, this.left), exactly);
    this.executes = false;
    this.left -= acting.work - before;
    if (this.hurries) this.left = Math.min(this.left, REST);
    if (this.pauses) {
      this.left = 0;
      // It was the last instruction, and STI has been some time before it.
      acting.cpu.set('shadow', SHADOW.none);
    }
    if (now !== undefined) this.noteWaiting(now() - began);
    const endsEarly = this.hurries || this.pauses || this.heir !== undefined;
    this.isCut = how === 'halted' || endsEarly || (how === 'budget' && this.left <= 0);
    this.inherit();
    return how === 'halted' ? 'budget' : how;
  }
  /** Whether the last run ended for the sake of turns, and the machine goes on with the next one. */
  get wasCut(): boolean {
    return this.isCut;
  }
  private noteWaiting(nanoseconds: number): void {
    const { owed } = this;
    for (let index = 0; index < owed.length; index++) {
      if (index === this.turn || this.waiting[index] === true || this.processors[index]!.sleeps) continue;
      owed[index]! += nanoseconds;
      if (owed[index]! < LEAST_TOLD) continue;
      this.around.waited(index, owed[index]!);
      owed[index] = 0;
    }
  }
  /** The one that executes waits for another. */
  private paused(): void {
    if (!this.executes) return;
    this.pauses = true;
    this.acting.requestAttention();
  }
  /** The one that executes gives its turn to another. */
  yieldTo(index: number): void {
    if (!this.executes || index === this.turn) return;
    this.heir = index;
    this.acting.requestAttention();
  }
  /** What has been given away is not given on: two that give their turns to each other keep nobody waiting. */
  private inherit(): void {
    const { heir } = this;
    if (heir === undefined) return;
    this.left = 0;
    if (this.place === this.turn && this.goesOn(heir)) this.begin(heir);
  }
  /** A processor was interrupted: it is not to wait long for its turn. */
  interrupted(index: number): void {
    if (this.executes && index !== this.turn && this.waiting[index] !== true) this.hurry();
  }
  private hurry(): void {
    this.hurries = true;
    this.acting.requestAttention();
  }

  /** INIT and start-up messages come when nobody executes. */
  init(to: number): void {
    this.receive({ to, page: undefined });
  }
  startUp(to: number, page: number): void {
    this.receive({ to, page });
  }
  private receive(message: Message): void {
    this.messages.push(message);
    if (this.executes) this.hurry();
  }
  /** Carries out what has been received. Call before anything is saved. */
  takeMessages(): void {
    for (const { to, page } of this.messages.splice(0)) {
      const processor = this.processors[to]!;
      if (page === undefined) {
        processor.init();
        this.waiting[to] = true;
      } else if (this.waiting[to] === true) this.waiting[to] = !this.start(to, processor, page);
    }
  }
  private start(to: number, processor: Processor, page: number): boolean {
    const started = this.around.start(to, processor);
    if (started !== undefined) return started;
    processor.cpu.setSegment(CS, page << 8, page << 12, REAL_LIMIT, REAL_ATTRIBUTES);
    processor.cpu.set('eip', 0);
    return true;
  }
}
