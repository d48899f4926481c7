/**
 * The oracle: an engine that executes decoded instructions by calling their semantics with numbers. It stands where the generated
 * interpreter does, so that delivery of exceptions, interrupts and everything around an instruction is shared.
 */
import type { Instruction } from '../isa/decode.ts';
import { EXCEPTION } from '../isa/build.ts';
import { elementSizeOf, recordsPointers } from '../isa/forms.ts';
import { repeated } from '../isa/repeat.ts';
import type { CodeCache } from './code-cache.ts';
import { GUEST_FAULT } from './cpu.ts';
import type { Engine } from './interpreter/engine.ts';
import { RUN } from './interpreter/record.ts';
import { LEAVE, OracleBuild, type OracleParts } from './oracle-build.ts';

/** For `ProcessorOptions.engine`. */
export const oracleEngine = (parts: OracleParts & { readonly code: CodeCache }): Engine => new OracleEngine(parts);

class OracleEngine implements Engine {
  private readonly parts: OracleParts;
  private readonly code: CodeCache;

  constructor(parts: OracleParts & { readonly code: CodeCache }) {
    this.parts = parts;
    this.code = parts.code;
  }

  /** As the interpreter's; `entry` says nothing that cpu.eip does not. */
  run(_entry: number, budget: number): number {
    const { cpu } = this.parts;
    for (let left = budget; left > 0; left--) {
      const how = this.step();
      cpu.set('instructionsLeft', how === RUN.budget ? left - 1 : left);
      if (how !== RUN.budget) return how;
      if (cpu.get('exit') !== 0) return RUN.exit;
    }
    return RUN.budget;
  }

  /** One instruction. `fault` leaves cpu.eip at it with the fault recorded; `exit` leaves it there between two repetitions. */
  step(): number {
    const { cpu } = this.parts,
      eip = cpu.get('eip');
    try {
      const insn = this.code.instructionAt(eip);
      if (typeof insn === 'string') {
        if (insn === 'too-long') cpu.setFault(EXCEPTION.GP, 0);
        else cpu.setFault(EXCEPTION.UD, -1);
        return RUN.fault;
      }
      this.execute(insn);
      return RUN.budget;
    } catch (thrown) {
      if (thrown !== GUEST_FAULT && thrown !== LEAVE) throw thrown;
      cpu.set('eip', eip);
      return thrown === LEAVE ? RUN.restart : RUN.fault;
    }
  }
  private execute(insn: Instruction): void {
    const { form } = insn,
      build = new OracleBuild(this.parts, insn);
    build.prologue();
    const operands = build.operands();
    if (form.row.repeat === undefined) form.row.semantics(build, ...operands);
    else repeated(build, form, elementSizeOf(form), () => form.row.semantics(build, ...operands));
    if (recordsPointers(form.row)) build.recordPointers();
    build.finish();
  }
}
