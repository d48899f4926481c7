/** Faults, transfers, calls into the core, and memory through the TLB. */
import { EXCEPTION, type MemoryType, type SegmentRef, type SlotField } from '../../isa/build.ts';
import { OFFSET, SEGMENT, UNIT_OF, segmentOffset } from '../layout.ts';
import { FlagsBuild } from './build-flags.ts';
import { RECORD, STATUS } from './record.ts';
import { BYTES, LOAD, STORE, TYPE, type Value } from './value.ts';

export class MemoryBuild extends FlagsBuild {
  protected goFault(): void {
    if (this.frame.labels === null) this.code.i32(STATUS.fault).return();
    else this.code.br(this.nest + this.frame.labels.fault);
  }
  protected faultIfSet(): void {
    this.code.get(this.frame.cpu).memory('i32.load', OFFSET.fault);
    this.code.if();
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
    for (const arg of args) this.push(arg);
    this.code.call(this.imports.service(name, args.length));
    const result = this.pop('i');
    this.faultIfSet();
    this.mayExit = true;
    return result;
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
    this.if(this.op('i32.lt_s', [left, this.imm(0)]), () => void this.code.i32(STATUS.restart).return());
  }
  /** The checks that come before the semantics: privilege, availability of the unit. */
  prologue(): void {
    const { row } = this.form;
    if (row.cpl0 === true) this.if(this.loadField(OFFSET.cpl), () => this.raise(EXCEPTION.GP, 0));
    if (row.unit !== undefined) {
      const mask = UNIT_OF[row.unit];
      const denied = this.op('i32.and', [this.loadField(OFFSET.unitDenied), this.imm(mask)]);
      this.if(denied, () => void this.service('unitUnavailable', this.imm(mask)));
      if (row.unit === 'x87' || row.unit === 'mmx' || row.unit === 'sse-mmx') {
        // A pending unmasked exception is reported by the next waiting instruction (SDM vol. 1, 8.7).
        const pending = this.op('i32.and', [this.loadField(OFFSET.fpuStatus), this.imm(0x80)]);
        this.if(pending, () => void this.service('reportFpuError'));
      }
    }
    // Services that transfer control start from the next instruction's EIP.
    if (row.transfers === true && this.frame.labels === null) {
      const next = this.op('i32.add', [this.currentEip(), this.recordField(RECORD.length, 'i32.load8_u')]);
      this.storeField(OFFSET.eip, next);
    }
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
  /** Finds where an access goes: `host` holds the address, or 0 when the core must do it. */
  protected locate(
    segment: SegmentRef,
    offset: Value,
    bytes: number,
    write: boolean,
  ): { host: number; segmentAddress: Value } {
    const s = this.segmentBase(segment);
    const linear = this.locals.take('i'),
      entry = this.locals.take('i'),
      host = this.locals.take('i');
    const { code } = this;
    this.push(s.at).memory('i32.load', s.offset + SEGMENT.base);
    this.push(offset);
    code.op('i32.add').tee(linear).i32(10).op('i32.shr_u').i32(0x3ffffc).op('i32.and');
    code.get(this.frame.tlb).op('i32.add').memory('i32.load').set(entry);
    // host = (entry & ~0xfff) + linear, where segment, rights and page allow; else 0
    code.get(entry).i32(-4096).op('i32.and').get(linear).op('i32.add');
    code.i32(0);
    this.push(offset);
    this.push(s.at)
      .memory('i32.load', s.offset + (write ? SEGMENT.writeBound : SEGMENT.readBound))
      .op('i32.lt_u');
    code
      .get(entry)
      .get(write ? this.frame.writeBit : this.frame.readBit)
      .op('i32.and')
      .i32(0)
      .op('i32.ne')
      .op('i32.and');
    if (bytes > 1)
      code
        .get(linear)
        .i32(0xfff)
        .op('i32.and')
        .i32(4096 - bytes)
        .op('i32.le_u')
        .op('i32.and');
    code.select().set(host);
    const segmentAddress = s.offset === 0 ? s.at : this.op('i32.add', [s.at, this.imm(s.offset)]);
    return { host, segmentAddress };
  }
  /** Integers and 128 bits through the fast path, anything else through the core. */
  protected access(
    place: { host: number; segmentAddress: Value },
    offset: Value,
    type: MemoryType,
    value: Value | null,
    service: string,
  ): Value | null {
    const { code } = this,
      bytes = BYTES[type];
    const result = value === null ? this.locals.take(TYPE[type]) : -1;
    const wide = bytes > 4;
    code.get(place.host).if();
    this.nest++;
    code.get(place.host);
    if (value === null) code.memory(LOAD[type]).set(result);
    else {
      this.push(value);
      code.memory(STORE[type]);
    }
    code.else();
    if (value !== null && wide) this.storeField(OFFSET.scratch, value, STORE[type]);
    this.push(place.segmentAddress);
    this.push(offset);
    code.i32(bytes);
    if (value !== null) {
      if (wide) code.i32(0);
      else this.push(value);
    }
    code.call(this.imports.service(service, value === null ? 3 : 4));
    if (value === null && !wide) code.set(result);
    else code.drop();
    this.faultIfSet();
    if (value === null && wide) code.get(this.frame.cpu).memory(LOAD[type], OFFSET.scratch).set(result);
    this.leaveSoon();
    this.nest--;
    code.end();
    return value === null ? { type: TYPE[type], local: result } : null;
  }
  /**
   * A device answered and asked to leave. Inline handlers leave at the next transfer, by giving their budget back; handlers
   * behind a call are followed by a check anyway.
   */
  protected leaveSoon(): void {
    const { code, frame } = this;
    if (frame.labels === null) return;
    code.get(frame.cpu).memory('i32.load', OFFSET.exit).if();
    code.get(frame.cpu).get(frame.cpu).memory('i32.load', OFFSET.instructionsReturned).get(frame.left).op('i32.add');
    code.memory('i32.store', OFFSET.instructionsReturned).i32(0).set(frame.left).end();
  }
  protected alignmentChecked(segment: SegmentRef, offset: Value, type: MemoryType): void {
    if (type !== 'v128' || this.form.row.aligned !== true) return;
    this.if(this.op('i32.and', [this.linear(segment, offset), this.imm(15)]), () => this.raise(EXCEPTION.GP, 0));
  }
  load(segment: SegmentRef, offset: Value, type: MemoryType): Value {
    this.alignmentChecked(segment, offset, type);
    return this.access(this.locate(segment, offset, BYTES[type], false), offset, type, null, 'readMemory')!;
  }
  store(segment: SegmentRef, offset: Value, type: MemoryType, value: Value): void {
    this.alignmentChecked(segment, offset, type);
    this.access(this.locate(segment, offset, BYTES[type], true), offset, type, value, 'writeMemory');
  }
  probeStore(segment: SegmentRef, offset: Value, type: MemoryType): void {
    const place = this.locate(segment, offset, BYTES[type], true);
    this.code.get(place.host).op('i32.eqz').if();
    this.nest++;
    this.push(place.segmentAddress);
    this.push(offset);
    this.code.i32(BYTES[type]).call(this.imports.service('probeWrite', 3)).drop();
    this.faultIfSet();
    this.nest--;
    this.code.end();
  }
}
