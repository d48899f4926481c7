/**
 * Samples where the guest is, on the vCPU thread. Compiled code can be left at loops and calls only: a sample goes on from there by a
 * random number of instructions, one by one, so that what lies between is met as well.
 */
import type { GuestPlace, SliceEnd } from '@tomei/paravirt-core';
import { findKallsyms } from './kallsyms.ts';
import type { Profile, ProfiledStack } from './profile.ts';

/** Between two samples, about, in milliseconds of slices. */
const PERIOD_MS = 1;
/** Instructions of a slice meanwhile: where one ends is a matter of instructions, and samples are to be one of time. */
const SLICE = 10_000;
/** The most instructions that a sample goes on by. */
const LONGEST_STEP = 2000;
/** Stacks that are told apart; more of them count without their callers. */
const MOST_STACKS = 200_000;
const USER = 3;

export interface ProfilerParts {
  look(): GuestPlace;
  /** Time that slices have taken up to now, in milliseconds. */
  now(): number;
  /** The thread's processor time in milliseconds, which many hosts count in steps of several. */
  cpuMs(): number;
  /** From 0 to below 1. */
  random(): number;
  /** The guest's RAM, in which its kernel may say what its functions are called. */
  readonly ram: Uint8Array<ArrayBufferLike>;
}
type Stack = { -readonly [K in keyof ProfiledStack]: ProfiledStack[K] };

export class Profiler {
  private readonly parts: ProfilerParts;
  private readonly stacks = new Map<string, Stack>();
  /** Met since processor time was last seen to go on: they share the time up to then. */
  private readonly waiting: Stack[] = [];
  private readonly began: number;
  private samples = 0;
  private due: number;
  private seen: number;
  private sharedUpTo: number;
  private stepping = false;

  constructor(parts: ProfilerParts) {
    this.parts = parts;
    this.seen = parts.now();
    this.due = this.seen + PERIOD_MS;
    this.began = this.sharedUpTo = parts.cpuMs();
  }

  /** How the next slice is to be run. */
  next(): { readonly limit: number; readonly exactly?: true } {
    const { random } = this.parts,
      now = this.parts.now();
    // The host did something else for a while: what the guest does first then is to hear of it, and no place to look at more than others.
    if (now - this.seen > PERIOD_MS) this.due = now + random() * PERIOD_MS;
    this.seen = now;
    this.stepping = now >= this.due;
    if (!this.stepping) return { limit: SLICE };
    return { limit: 1 + Math.floor(random() * LONGEST_STEP), exactly: true };
  }
  /** It has been run. */
  ran(how: SliceEnd['kind']): void {
    // A guest that went to sleep on the way is not where its time went.
    if (!this.stepping || how !== 'running') return;
    this.due = this.parts.now() + (0.5 + this.parts.random()) * PERIOD_MS;
    this.samples++;
    this.waiting.push(this.stackOf(this.parts.look()));
    this.share();
  }

  /** What was found; `idleMs` is how long the guest was halted. */
  profile(idleMs: number): Profile {
    this.share();
    const stacks = [...this.stacks.values()],
      inKernel = stacks.filter(({ ring }) => ring === 0).map(({ addresses }) => addresses[0]!),
      symbols = inKernel.length === 0 ? undefined : findKallsyms(this.parts.ram, inKernel);
    return {
      samples: this.samples,
      ms: this.parts.cpuMs() - this.began,
      idleMs,
      stacks,
      ...(symbols === undefined ? {} : { symbols }),
    };
  }

  private share(): void {
    const now = this.parts.cpuMs();
    if (now <= this.sharedUpTo || this.waiting.length === 0) return;
    for (const stack of this.waiting) stack.ms += (now - this.sharedUpTo) / this.waiting.length;
    this.waiting.length = 0;
    this.sharedUpTo = now;
  }
  private stackOf(place: GuestPlace): Stack {
    const { ring } = place,
      // Kernel code is the same in all processes.
      space = ring === USER ? place.space : 0;
    const keyOf = (places: readonly number[]): string => `${ring}:${space}:${places.join(',')}`;
    let addresses = [place.address, ...place.callers];
    if (this.stacks.size >= MOST_STACKS && !this.stacks.has(keyOf(addresses))) addresses = [place.address];
    const key = keyOf(addresses);
    const stack = this.stacks.get(key) ?? { addresses, ring, space, ms: 0 };
    this.stacks.set(key, stack);
    return stack;
  }
}
