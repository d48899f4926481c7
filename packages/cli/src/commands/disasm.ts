/** `tomei disasm`: machine code as text. */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import { TomeiError } from '@tomei/kit';

export interface DisasmOptions {
  readonly code: Uint8Array;
  /** Linear address of the first byte. */
  readonly address: number;
  /** Default operand and address size. */
  readonly bits: 16 | 32;
}

/** Returns the lines for a person. */
export type Disassemble = (options: DisasmOptions) => Promise<Iterable<string>>;

const HIGHEST_ADDRESS = 0xffff_ffff;

/** A number as C writes it: 4096, 0x1000. */
export function parseAddress(text: string): number {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value > HIGHEST_ADDRESS) {
    throw new InvalidArgumentError('Give an address from 0 to 0xffffffff, such as 0x7c00.');
  }
  return value;
}

/** Bytes in hexadecimal, with or without spaces. Throws `usage.hex`. */
export function parseHex(text: string): Uint8Array {
  const digits = text.replaceAll(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) {
    throw new TomeiError('usage.hex', `${JSON.stringify(text)} is not bytes in hexadecimal, such as "89 d8 c3"`);
  }
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

interface Flags {
  readonly hex?: string;
  readonly address: number;
  readonly skip: number;
  readonly length?: number;
  readonly bits: string;
}

function codeOf(file: string | undefined, flags: Flags): Uint8Array {
  if ((file === undefined) === (flags.hex === undefined)) {
    throw new TomeiError('usage.source', 'disasm needs either a file or --hex');
  }
  const all = flags.hex === undefined ? readFileSync(file!) : parseHex(flags.hex);
  const end = flags.length === undefined ? all.length : flags.skip + flags.length;
  return Uint8Array.from(all.subarray(flags.skip, end));
}

export function addDisasmCommand(program: Command, disassemble: Disassemble): void {
  program
    .command('disasm')
    .description('show machine code as instructions')
    .argument('[file]', 'a file of raw machine code')
    .option('--hex <bytes>', 'the code itself, in hexadecimal')
    .option('--address <address>', 'address of the first byte', parseAddress, 0)
    .option('--skip <bytes>', 'leave out the beginning of the file', parseAddress, 0)
    .option('--length <bytes>', 'stop after so many bytes', parseAddress)
    .option('--bits <16|32>', 'size of the code segment', '32')
    .addHelpText(
      'after',
      `
Examples:
  tomei disasm --hex '89 d8 0f a2 c3'
  tomei disasm boot.bin --bits 16 --address 0x7c00`,
    )
    .action(async (file: string | undefined, flags: Flags) => {
      if (flags.bits !== '16' && flags.bits !== '32') {
        throw new TomeiError('usage.bits', `--bits ${flags.bits}: there are 16 and 32`);
      }
      const code = codeOf(file, flags);
      const lines = await disassemble({ code, address: flags.address, bits: flags.bits === '16' ? 16 : 32 });
      for (const line of lines) process.stdout.write(`${line}\n`);
    });
}
