/** Status flags in the two words that layout.ts describes: no kind of operation to look at when they are read. */
import type { Size, StatusFlag } from '../../isa/build.ts';
import { OFFSET } from '../layout.ts';
import { ValueBuild } from './build-values.ts';
import type { Value } from './value.ts';

export class FlagsBuild extends ValueBuild {
  // --- flags: see layout.ts for what the two words hold

  flag(flag: StatusFlag): Value {
    const result = (): Value => this.loadField(OFFSET.flagResult);
    const aux = (): Value => this.loadField(OFFSET.flagAux);
    const i = (n: number): Value => this.imm(n);
    switch (flag) {
      case 'C':
        return this.op('i32.shr_u', [aux(), i(31)]);
      case 'Z':
        return this.op('i32.eqz', [result()]);
      case 'A':
        return this.op('i32.and', [this.op('i32.shr_u', [aux(), i(3)]), i(1)]);
      case 'O': {
        const a = aux();
        return this.op('i32.shr_u', [this.op('i32.xor', [a, this.op('i32.shl', [a, i(1)])]), i(31)]);
      }
      case 'S':
        return this.op('i32.xor', [this.op('i32.shr_u', [result(), i(31)]), this.op('i32.and', [aux(), i(1)])]);
      case 'P': {
        const byte = this.op('i32.and', [this.op('i32.xor', [result(), this.op('i32.shr_u', [aux(), i(8)])]), i(0xff)]);
        return this.op('i32.and', [this.op('i32.xor', [this.op('i32.popcnt', [byte]), i(1)]), i(1)]);
      }
    }
  }
  setFlag(flag: StatusFlag, value: Value): void {
    const i = (n: number): Value => this.imm(n);
    if (flag === 'C') {
      // C changes, O stays: both upper bits follow.
      const aux = this.loadField(OFFSET.flagAux);
      const change = this.op('i32.xor', [this.op('i32.shr_u', [aux, i(31)]), value]);
      this.storeField(OFFSET.flagAux, this.op('i32.xor', [aux, this.op('i32.mul', [change, i(0xc0000000)])]));
    } else if (flag === 'O') {
      const aux = this.loadField(OFFSET.flagAux);
      const carry = this.op('i32.shr_u', [aux, i(31)]);
      const bit30 = this.op('i32.shl', [this.op('i32.xor', [carry, value]), i(30)]);
      this.storeField(OFFSET.flagAux, this.op('i32.or', [this.op('i32.and', [aux, i(~(1 << 30))]), bit30]));
    } else {
      const position = { P: 2, A: 4, Z: 6, S: 7 }[flag];
      const image = this.statusFlags();
      this.setStatusFlags(
        this.op('i32.or', [this.op('i32.and', [image, i(~(1 << position))]), this.op('i32.shl', [value, i(position)])]),
      );
    }
  }
  statusFlags(): Value {
    let image = this.flag('C');
    for (const [flag, position] of [
      ['P', 2],
      ['A', 4],
      ['Z', 6],
      ['S', 7],
      ['O', 11],
    ] as const) {
      image = this.op('i32.or', [image, this.op('i32.shl', [this.flag(flag), this.imm(position)])]);
    }
    return image;
  }
  keepFlags(): () => void {
    const kept = [OFFSET.flagResult, OFFSET.flagAux].map((at) => [at, this.variable(this.loadField(at))] as const);
    return () => kept.forEach(([at, words]) => this.storeField(at, words.get()));
  }
  setStatusFlags(image: Value): void {
    const i = (n: number): Value => this.imm(n);
    const bit = (n: number): Value => this.op('i32.and', [this.op('i32.shr_u', [image, i(n)]), i(1)]);
    // The result is 0 for Z, else 0x100 (low byte 0: even parity, sign clear); aux turns P and S where they differ from that.
    const zero = bit(6),
      carry = bit(0);
    const parts = [
      this.op('i32.shl', [carry, i(31)]),
      this.op('i32.shl', [this.op('i32.xor', [carry, bit(11)]), i(30)]),
      this.op('i32.shl', [bit(4), i(3)]),
      this.op('i32.shl', [this.op('i32.xor', [bit(2), i(1)]), i(8)]),
      bit(7),
    ];
    this.storeField(OFFSET.flagResult, this.op('i32.shl', [this.op('i32.xor', [zero, i(1)]), i(8)]));
    this.storeField(
      OFFSET.flagAux,
      parts.reduce((a, b) => this.op('i32.or', [a, b])),
    );
  }
  condition(code: number): Value {
    const or = (a: Value, b: Value): Value => this.op('i32.or', [a, b]);
    const base = code >> 1;
    const less = (): Value => this.op('i32.xor', [this.flag('S'), this.flag('O')]);
    const value =
      base === 0
        ? this.flag('O')
        : base === 1
          ? this.flag('C')
          : base === 2
            ? this.flag('Z')
            : base === 3
              ? or(this.flag('C'), this.flag('Z'))
              : base === 4
                ? this.flag('S')
                : base === 5
                  ? this.flag('P')
                  : base === 6
                    ? less()
                    : or(this.flag('Z'), less());
    return (code & 1) === 0 ? value : this.op('i32.xor', [value, this.imm(1)]);
  }
  protected signExtended(size: Size, v: Value): Value {
    return size === 32 ? v : this.op(size === 8 ? 'i32.extend8_s' : 'i32.extend16_s', [v]);
  }
  setFlags(kind: 'add' | 'sub' | 'logic', size: Size, result: Value, x?: Value, y?: Value): void {
    const wide = this.signExtended(size, result);
    if (kind === 'logic') {
      this.storeField(OFFSET.flagResult, wide);
      this.storeField(OFFSET.flagAux, this.imm(0));
      return;
    }
    // The carries out of every bit: add (x & y) | ((x | y) & ~r); subtract with x inverted and r as it is.
    const not = (v: Value): Value => this.op('i32.xor', [v, this.imm(-1)]);
    const and = (a: Value, b: Value): Value => this.op('i32.and', [a, b]);
    const or = (a: Value, b: Value): Value => this.op('i32.or', [a, b]);
    const left = kind === 'add' ? x! : not(x!);
    const carries = or(and(left, y!), and(or(left, y!), kind === 'add' ? not(result) : result));
    const top = size === 32 ? carries : this.op('i32.shl', [carries, this.imm(32 - size)]);
    const aux =
      size === 32
        ? and(carries, this.imm(0xc0000008 | 0))
        : or(and(top, this.imm(0xc0000000 | 0)), and(carries, this.imm(8)));
    this.storeField(OFFSET.flagResult, wide);
    this.storeField(OFFSET.flagAux, aux);
  }
  setFlagsWith(size: Size, result: Value, carry: Value, overflow: Value, adjust: Value): void {
    const shl = (v: Value, n: number): Value => this.op('i32.shl', [v, this.imm(n)]);
    const aux = this.op('i32.or', [
      this.op('i32.or', [shl(carry, 31), shl(this.op('i32.xor', [carry, overflow]), 30)]),
      shl(adjust, 3),
    ]);
    this.storeField(OFFSET.flagResult, this.signExtended(size, result));
    this.storeField(OFFSET.flagAux, aux);
  }
}
