/** Faults, transfers, calls into the core, and memory through the TLB. */
import { EFLAGS, EXCEPTION, type MemoryType, type SegmentRef, type SlotField } from '../../isa/build.ts';
import { CR0 } from '../cpu.ts';
import { OFFSET, SEGMENT, SEGMENT_BYTES, UNIT_OF, segmentOffset } from '../layout.ts';
import { FlagsBuild } from './build-flags.ts';
import { RECORD, STATUS } from './record.ts';
import { BYTES, LOAD, STORE, TYPE, type Value } from './value.ts';

export class MemoryBuild extends FlagsBuild {
  protected goFault(): void {
    if (this.frame.labels === null) this.code.i32(STATUS.fault).return();
    else this.code.br(this.nest + this.frame.labels.fault);
    this.gaveUpAt = this.code.length;
  }
  protected faultIfSet(): void {
    this.code.get(this.frame.cpu).memory('i32.load', OFFSET.fault);
    this.code.ifSeldom();
    this.nest++;
    this.goFault();
    this.nest--;
    this.code.end();
  }
  raise(vector: number, errorCode?: number): void {
    this.storeField(OFFSET.faultVector, this.imm(vector));
    this.storeField(OFFSET.faultCode, this.imm(errorCode ?? -1));
    this.storeField(OFFSET.fault, this.imm(1));
    this.goFault();
  }
  /** Page start plus offset plus length. */
  nextEip(): Value {
    const next = this.op('i32.add', [this.currentEip(), this.recordField(RECORD.length, 'i32.load8_u')]);
    return this.size === 16 ? this.op('i32.and', [next, this.imm(0xffff)]) : next;
  }
  protected currentEip(): Value {
    return this.op('i32.add', [
      { type: 'i', local: this.frame.pageEip },
      this.recordField(RECORD.pageOffset, 'i32.load16_u'),
    ]);
  }
  checkTarget(eip: Value): void {
    this.if(this.op('i32.gt_u', [eip, this.loadField(OFFSET.codeLimit)]), () => this.raise(EXCEPTION.GP, 0));
  }
  jump(eip: Value): void {
    if (this.frame.labels === null) {
      this.storeField(OFFSET.eip, eip);
      this.code.i32(STATUS.jump).return();
    } else {
      this.push(eip);
      this.code.set(this.frame.target).br(this.nest + this.frame.labels.jump);
    }
  }
  service(name: string, ...args: Value[]): Value {
    if (name === 'selector') return this.selector(args[0]!);
    const flat = this.imports.flat(name);
    if (flat !== undefined) {
      for (const arg of args) this.push(arg);
      this.code.call(flat);
      this.if(this.op('i32.eqz', [this.pop('i')]), () => void this.callService(name, args));
      this.mayExit = true;
      return this.imm(0);
    }
    return this.callService(name, args);
  }
  private callService(name: string, args: readonly Value[]): Value {
    for (const arg of args) this.push(arg);
    this.code.call(this.imports.service(name, args.length));
    const result = this.pop('i');
    this.faultIfSet();
    this.mayExit = true;
    return result;
  }
  /** What the service of that name would find: it lies at hand. */
  private selector(index: Value): Value {
    if (index.constant !== undefined) return this.loadField(segmentOffset(Number(index.constant)) + SEGMENT.selector);
    this.push(this.op('i32.mul', [index, this.imm(SEGMENT_BYTES)]));
    this.code
      .get(this.frame.cpu)
      .op('i32.add')
      .memory('i32.load', segmentOffset(0) + SEGMENT.selector);
    return this.pop('i');
  }
  leaf(name: string, ...args: Value[]): Value {
    for (const arg of args) this.push(arg);
    this.code.call(this.imports.leaf(name, args.map((arg) => arg.type).join('')));
    return this.pop('i');
  }
  slotAddress(field: SlotField, index: Value): Value {
    const first = this.op('i32.add', [{ type: 'i', local: this.frame.cpu }, this.imm(OFFSET[field])]);
    return this.op('i32.add', [first, this.op('i32.shl', [index, this.imm(4)])]);
  }
  peek(address: Value, type: MemoryType, delta: number): Value {
    this.push(address).memory(LOAD[type], delta);
    return this.pop(TYPE[type]);
  }
  poke(address: Value, type: MemoryType, delta: number, value: Value): void {
    this.push(address);
    this.push(value);
    this.code.memory(STORE[type], delta);
  }
  poll(): void {
    if (this.frame.labels !== null) throw new Error('a repeated instruction lies behind a call');
    const left = this.op('i32.sub', [this.loadField(OFFSET.pollBudget), this.imm(1)]);
    this.storeField(OFFSET.pollBudget, left);
    const leaves = this.op('i32.or', [this.op('i32.lt_s', [left, this.imm(0)]), this.loadField(OFFSET.exit)]);
    this.if(leaves, () => void this.code.i32(STATUS.restart).return());
  }
  /** The checks that come before the semantics: privilege, availability of the unit. */
  prologue(): void {
    const { row } = this.form;
    if (row.protectedOnly === true) {
      const enabled = this.op('i32.and', [this.loadField(OFFSET.cr0), this.imm(CR0.PE)]);
      const virtual = this.op('i32.and', [this.loadField(OFFSET.systemFlags), this.imm(EFLAGS.VM)]);
      this.if(this.op('i32.or', [this.op('i32.eqz', [enabled]), virtual]), () => this.raise(EXCEPTION.UD));
    }
    if (row.cpl0 === true) this.if(this.loadField(OFFSET.cpl), () => this.raise(EXCEPTION.GP, 0));
    if (row.unit !== undefined) {
      this.requireUnit(UNIT_OF[row.unit]);
      if (row.unit === 'x87' || row.unit === 'mmx' || row.unit === 'sse-mmx') this.reportPending();
    }
    // Services that transfer control start from the next instruction's EIP.
    if (row.transfers === true && this.frame.labels === null) {
      const next = this.op('i32.add', [this.currentEip(), this.recordField(RECORD.length, 'i32.load8_u')]);
      this.storeField(OFFSET.eip, next);
    }
  }
  protected requireUnit(mask: number): void {
    const denied = this.op('i32.and', [this.loadField(OFFSET.unitDenied), this.imm(mask)]);
    this.if(denied, () => void this.service('unitUnavailable', this.imm(mask)));
  }
  /** A pending unmasked exception is reported by the next waiting instruction (SDM vol. 1, 8.7). */
  protected reportPending(): void {
    const pending = this.op('i32.and', [this.loadField(OFFSET.fpuStatus), this.imm(0x80)]);
    this.if(pending, () => void this.service('reportFpuError'));
  }
  /** The end of a handler behind a call. */
  epilogue(): void {
    this.code.i32(this.form.row.transfers === true ? STATUS.jump : STATUS.next);
  }

  // --- memory

  /** A segment register's block: pushes the address, returns the static offset to add. */
  protected segmentBase(segment: SegmentRef): { at: Value; offset: number } {
    if (segment === 'operand') return { at: this.recordField(RECORD.segment, 'i32.load16_u'), offset: 0 };
    return { at: { type: 'i', local: this.frame.cpu }, offset: segmentOffset(segment) };
  }
  segmentAddress(): Value {
    return this.recordField(RECORD.segment, 'i32.load16_u');
  }
  linear(segment: SegmentRef, offset: Value): Value {
    const s = this.segmentBase(segment);
    this.push(s.at).memory('i32.load', s.offset + SEGMENT.base);
    const base = this.pop('i');
    return this.op('i32.add', [base, offset]);
  }
  /**
   * One access: `fast` with the host address on the stack where segment, rights and page allow it at once, else `slow`. Three tests
   * that the host predicts cost less than one that depends on all of them. `host`, where given, keeps the address; 0 after `slow`.
   */
  protected reach(
    place: Place,
    bytes: number,
    write: boolean,
    fast: () => void,
    slow: () => void,
    host?: number,
  ): void {
    const { code, locals, frame } = this;
    const s = place.segment;
    const linear = locals.take('i'),
      entry = locals.take('i');
    code.block().block();
    this.nest += 2;
    this.push(place.offset);
    this.push(s.at)
      .memory('i32.load', s.offset + (write ? SEGMENT.writeBound : SEGMENT.readBound))
      .op('i32.ge_u')
      .brIfSeldom(0);
    this.push(s.at).memory('i32.load', s.offset + SEGMENT.base);
    this.push(place.offset);
    code.op('i32.add').tee(linear).i32(10).op('i32.shr_u').i32(0x3ffffc).op('i32.and');
    code.get(frame.tlb).op('i32.add').memory('i32.load').tee(entry);
    code
      .get(write ? frame.writeBit : frame.readBit)
      .op('i32.and')
      .op('i32.eqz')
      .brIfSeldom(0);
    if (bytes > 1) {
      code
        .get(linear)
        .i32(0xfff)
        .op('i32.and')
        .i32(4096 - bytes)
        .op('i32.gt_u')
        .brIfSeldom(0);
    }
    code.get(entry).i32(-4096).op('i32.and').get(linear).op('i32.add');
    if (host !== undefined) code.tee(host);
    fast();
    code.br(1);
    this.nest--;
    code.end();
    if (host !== undefined) code.i32(0).set(host);
    slow();
    this.nest--;
    code.end();
  }
  /** A segment and an offset in it. */
  protected place(segment: SegmentRef, offset: Value): Place {
    return { segment: this.segmentBase(segment), offset };
  }
  /** Calls the core for an access, with the segment register's address, the offset and the size. */
  private callCore(place: Place, bytes: number, service: string, value?: Value): void {
    const { segment } = place;
    this.push(segment.at);
    if (segment.offset !== 0) this.code.i32(segment.offset).op('i32.add');
    this.push(place.offset).i32(bytes);
    if (value !== undefined) this.push(value);
    this.code.call(this.imports.service(service, value === undefined ? 3 : 4));
  }
  protected readSlowly(place: Place, type: MemoryType, service: string, result: number): void {
    const { code } = this,
      bytes = BYTES[type];
    this.callCore(place, bytes, service);
    if (bytes > 4) code.drop();
    else code.set(result);
    this.faultIfSet();
    // 8 and 16 bytes are left in `scratch`.
    if (bytes > 4) code.get(this.frame.cpu).memory(LOAD[type], OFFSET.scratch).set(result);
    this.leaveSoon();
  }
  protected writeSlowly(place: Place, type: MemoryType, value: Value): void {
    const bytes = BYTES[type];
    if (bytes > 4) this.storeField(OFFSET.scratch, value, STORE[type]);
    this.callCore(place, bytes, 'writeMemory', bytes > 4 ? this.imm(0) : value);
    this.code.drop();
    this.faultIfSet();
    this.leaveSoon();
  }
  /**
   * A device or a breakpoint asked to leave behind this instruction. Inline handlers go on from a copy of their record that nothing
   * but the end of the run follows, and those that transfer give their budget back; handlers behind a call are followed by a check
   * anyway.
   */
  protected leaveSoon(): void {
    const { code, frame } = this;
    if (frame.labels === null) return;
    code.get(frame.cpu).memory('i32.load', OFFSET.exit).ifSeldom();
    if (this.form.row.transfers === true) {
      code.get(frame.cpu).get(frame.cpu).memory('i32.load', OFFSET.instructionsReturned).get(frame.left).op('i32.add');
      code.memory('i32.store', OFFSET.instructionsReturned).i32(0).set(frame.left);
    } else {
      // `start` moves along, so that the count stays what it is.
      code.get(frame.start).get(frame.record).op('i32.sub').set(frame.start);
      code.get(frame.record).call(this.imports.service('leaveAfter', 1)).tee(frame.record);
      code.get(frame.start).op('i32.add').set(frame.start);
    }
    code.end();
  }
  protected alignmentChecked(segment: SegmentRef, offset: Value, type: MemoryType): void {
    if (type !== 'v128' || this.form.row.aligned !== true) return;
    this.if(this.op('i32.and', [this.linear(segment, offset), this.imm(15)]), () => this.raise(EXCEPTION.GP, 0));
  }
  load(segment: SegmentRef, offset: Value, type: MemoryType): Value {
    this.alignmentChecked(segment, offset, type);
    const result = this.locals.take(TYPE[type]),
      place = this.place(segment, offset);
    this.reach(
      place,
      BYTES[type],
      false,
      () => void this.code.memory(LOAD[type]).set(result),
      () => this.readSlowly(place, type, 'readMemory', result),
    );
    return { type: TYPE[type], local: result };
  }
  store(segment: SegmentRef, offset: Value, type: MemoryType, value: Value): void {
    this.alignmentChecked(segment, offset, type);
    const place = this.place(segment, offset);
    this.reach(
      place,
      BYTES[type],
      true,
      () => {
        this.push(value);
        this.code.memory(STORE[type]);
      },
      () => this.writeSlowly(place, type, value),
    );
  }
  /** Reads what the same instruction will write: the rights to write are looked at now, and not again. */
  protected loadForUpdate(
    segment: SegmentRef,
    offset: Value,
    type: MemoryType,
  ): { value: Value; store: (v: Value) => void } {
    this.alignmentChecked(segment, offset, type);
    const result = this.locals.take(TYPE[type]),
      host = this.locals.take('i'),
      place = this.place(segment, offset);
    this.reach(
      place,
      BYTES[type],
      true,
      () => void this.code.memory(LOAD[type]).set(result),
      () => this.readSlowly(place, type, 'readForUpdate', result),
      host,
    );
    const store = (v: Value): void => {
      this.code.get(host).if();
      this.nest++;
      this.code.get(host);
      this.push(v);
      this.code.memory(STORE[type]).else();
      this.writeSlowly(place, type, v);
      this.nest--;
      this.code.end();
    };
    return { value: { type: TYPE[type], local: result }, store };
  }
  probeStore(segment: SegmentRef, offset: Value, type: MemoryType): void {
    const place = this.place(segment, offset);
    this.reach(
      place,
      BYTES[type],
      true,
      () => void this.code.drop(),
      () => {
        this.callCore(place, BYTES[type], 'probeWrite');
        this.code.drop();
        this.faultIfSet();
      },
    );
  }
}

/** A segment register's block as an address and a static offset, and an offset in the segment. */
export interface Place {
  readonly segment: { readonly at: Value; readonly offset: number };
  readonly offset: Value;
}
