/** Which bytes an encoding stands for: to find rows that clash, and slots that no row takes. */
import type { Encoding } from './model.ts';

/** One opcode with one ModRM byte (-1 where there is none) and one rule for prefixes. */
export interface Claim {
  readonly prefix: Encoding['mandatory'];
  readonly map: number;
  readonly opcode: number;
  readonly modrm: number;
}
/** The ModRM forms that an encoding has. */
export interface ModrmForms {
  readonly memory: boolean;
  readonly register: boolean;
}

/** Everything that an encoding stands for. */
export function claimsOf(parsed: Encoding, forms: ModrmForms): Claim[] {
  const { mandatory: prefix, map, modrm } = parsed;
  const all = Array.from({ length: 256 }, (_, b) => b);
  const bytes =
    modrm.kind === 'none'
      ? [-1]
      : modrm.kind === 'exact'
        ? all.filter((b) => b >= modrm.first && b <= modrm.last)
        : all.filter(
            (b) =>
              (modrm.kind === 'any' || ((b >> 3) & 7) === modrm.digit) && (b >= 0xc0 ? forms.register : forms.memory),
          );
  const opcodes = Array.from({ length: parsed.plusRegister ? 8 : 1 }, (_, i) => parsed.opcode + i);
  return opcodes.flatMap((opcode) => bytes.map((modrm) => ({ prefix, map, opcode, modrm })));
}

/** A claim in one word. */
export const claimKey = ({ prefix, map, opcode, modrm }: Claim): string =>
  `${prefix ?? 'any'} ${map} ${opcode.toString(16)} ${modrm < 0 ? '-' : modrm.toString(16)}`;
