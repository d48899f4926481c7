/** For tests: a runner that keeps the contract of runner.proto on a real bus, and whose guests and misfortunes the test decides. */
import { messages, newId, subjects, type RunPhase, type RunReport, type StartGuest } from '@tomei/contracts';
import type { Bus, Subscription } from '@tomei/service';

export interface StartSeen {
  readonly guestId: string;
  readonly run: number;
  readonly runnerId: string;
}
interface Run {
  readonly guestId: string;
  readonly run: number;
  readonly memoryMib: number;
  phase: RunPhase;
  why: string;
  message: string;
}
const isOver = ({ phase }: Run): boolean => phase === 'RUN_PHASE_ENDED' || phase === 'RUN_PHASE_CRASHED';
const HEARTBEAT_MS = 1_000;

export class ScriptedRunner {
  readonly id: string;
  /** Nothing reaches it and nothing comes from it; its guests run on. */
  private isCutOff = false;
  /** Shares, 0 to 1. */
  losesCommands = 0;
  losesAnswers = 0;
  draining = false;
  /** A code with which it refuses every start. */
  refusesWith: string | undefined;
  /** It says nothing between two heartbeats. */
  quiet = false;
  onStart: (start: StartSeen) => void = () => undefined;
  /** What `onStart` threw. */
  readonly problems: unknown[] = [];
  private readonly options: {
    readonly bus: Bus;
    readonly memoryMib: number;
    readonly vcpus: number;
    readonly random: () => number;
    readonly heartbeatMs?: number;
  };
  private runs: Run[] = [];
  private answers = new Map<string, Uint8Array>();
  private instanceId = newId();
  private seenSinceMs = Date.now();
  private responder: Subscription | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(options: {
    bus: Bus;
    id: string;
    memoryMib: number;
    vcpus: number;
    random: () => number;
    heartbeatMs?: number;
  }) {
    this.id = options.id;
    this.options = options;
  }
  get cutOff(): boolean {
    return this.isCutOff;
  }
  set cutOff(value: boolean) {
    if (this.isCutOff && !value) this.seenSinceMs = Date.now();
    this.isCutOff = value;
  }
  begin(): void {
    this.responder = this.options.bus.respond(subjects.runnerCommand(this.id), (bytes) => this.answer(bytes));
    this.timer = setInterval(() => this.beat(), this.options.heartbeatMs ?? HEARTBEAT_MS);
    this.beat();
  }
  end(): void {
    clearInterval(this.timer);
    void this.responder?.close();
  }
  /** Its process dies, with all its guests, and a new one begins. */
  restart(): void {
    this.end();
    this.runs = [];
    this.answers = new Map();
    this.draining = false;
    this.instanceId = newId();
    this.seenSinceMs = Date.now();
    this.begin();
  }
  /** It stops its guests, says how they ended, and leaves. */
  drain(): void {
    this.draining = true;
    this.beat();
    for (const run of this.runs) this.stop(run, 'its runner is leaving');
    setTimeout(() => {
      if (!this.draining) return;
      this.beat();
      this.runs = [];
      this.beat();
      this.end();
    }, 3_000);
  }
  /** Whether it has been heard of and could be reached for so long. */
  seenFor(ms: number): boolean {
    return !this.isCutOff && !this.draining && Date.now() - this.seenSinceMs >= ms;
  }
  hasLive(guestId: string): boolean {
    return this.runs.some((run) => run.guestId === guestId && !isOver(run));
  }
  reports(): RunReport[] {
    return this.runs.map(({ memoryMib: _, ...report }) => ({
      ...report,
      ...(report.phase === 'RUN_PHASE_RUNNING'
        ? { console: { endpoint: { target: `${this.id}:1` }, token: `secret-${report.guestId}-${report.run}` } }
        : {}),
    }));
  }
  /** One of its guests ends or resets itself. */
  endOne(how: 'power-off' | 'crash' | 'reset'): void {
    const running = this.runs.filter(({ phase }) => phase === 'RUN_PHASE_RUNNING');
    const run = running[Math.floor(this.options.random() * running.length)];
    if (run === undefined) return;
    if (how === 'reset') return this.live(run);
    if (how === 'crash') this.become(run, 'RUN_PHASE_CRASHED', 'triple-fault', 'the guest went down by a triple fault');
    else this.become(run, 'RUN_PHASE_ENDED', 'power-off', 'the guest powered itself off');
  }

  private async answer(bytes: Uint8Array): Promise<Uint8Array> {
    const { random } = this.options;
    // Who throws gives no answer.
    const lost = (): never => {
      throw new Error('lost on the way');
    };
    if (this.isCutOff || random() < this.losesCommands) lost();
    await new Promise((resolve) => setTimeout(resolve, random() * 100));
    const command = messages.RunnerCommand.decode(bytes);
    const answer = this.answers.get(command.id) ?? this.carryOut(command);
    this.answers.set(command.id, answer);
    if (this.isCutOff || random() < this.losesAnswers) lost();
    return answer;
  }
  private carryOut(command: ReturnType<typeof messages.RunnerCommand.decode>): Uint8Array {
    if (command.stop !== undefined) {
      const run = this.runs.find((r) => r.guestId === command.stop!.guestId && r.run === command.stop!.run);
      if (run !== undefined && isOver(run)) {
        this.runs = this.runs.filter((r) => r !== run);
        this.beatSoon();
      } else if (run !== undefined) this.stop(run, 'the guest was powered off');
      return messages.RunnerReply.encode({});
    }
    const refusal = this.start(command.start!);
    return messages.RunnerReply.encode(refusal === undefined ? {} : { trouble: refusal });
  }
  /** As services/vcpu-runner does, the errors included. */
  private start(start: StartGuest): { code: string; message: string; retryable: boolean } | undefined {
    const { guestId, run } = start;
    const newest = Math.max(0, ...this.runs.filter((r) => r.guestId === guestId).map((r) => r.run));
    if (run === newest) return undefined;
    if (run < newest) return { code: 'guest.stale-run', message: 'older', retryable: false };
    if (this.refusesWith !== undefined) return { code: this.refusesWith, message: 'no', retryable: true };
    if (this.draining) return { code: 'runner.draining', message: 'it leaves', retryable: false };
    const used = this.runs.filter((r) => !isOver(r) && r.guestId !== guestId).reduce((sum, r) => sum + r.memoryMib, 0);
    const memoryMib = start.spec!.memoryMib;
    if (used + memoryMib > this.options.memoryMib)
      return { code: 'runner.no-room', message: 'no room', retryable: true };
    try {
      this.onStart({ guestId, run, runnerId: this.id });
    } catch (error) {
      this.problems.push(error);
    }
    for (const older of this.runs.filter((r) => r.guestId === guestId)) this.stop(older, 'a newer run takes its place');
    const started: Run = { guestId, run, memoryMib, phase: 'RUN_PHASE_STARTING', why: '', message: '' };
    this.runs.push(started);
    this.live(started);
    return undefined;
  }
  private live(run: Run): void {
    this.become(run, 'RUN_PHASE_STARTING', '', '');
    setTimeout(
      () => {
        if (run.phase === 'RUN_PHASE_STARTING') this.become(run, 'RUN_PHASE_RUNNING', '', '');
      },
      50 + this.options.random() * 1_500,
    );
  }
  private stop(run: Run, why: string): void {
    if (isOver(run) || run.phase === 'RUN_PHASE_STOPPING') return;
    this.become(run, 'RUN_PHASE_STOPPING', '', why);
    setTimeout(() => this.become(run, 'RUN_PHASE_ENDED', 'stopped', why), 20 + this.options.random() * 2_000);
  }
  private become(run: Run, phase: RunPhase, why: string, message: string): void {
    Object.assign(run, { phase, why, message });
    this.beatSoon();
  }
  private beatSoon(): void {
    if (!this.quiet) setTimeout(() => this.beat(), 0);
  }
  private beat(): void {
    if (this.isCutOff) return;
    const used = this.runs.filter((run) => !isOver(run));
    const { memoryMib, vcpus, bus } = this.options;
    bus.publish(
      subjects.runnerHeartbeat(this.id),
      messages.RunnerHeartbeat.encode({
        runnerId: this.id,
        instanceId: this.instanceId,
        atMs: Date.now(),
        capacity: {
          memoryMib,
          vcpus,
          usedMemoryMib: used.reduce((sum, run) => sum + run.memoryMib, 0),
          usedVcpus: used.length,
        },
        runs: this.reports(),
        draining: this.draining,
        version: 'scripted',
      }),
    );
  }
}
