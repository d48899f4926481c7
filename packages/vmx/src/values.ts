/** Typed access to the values of a `.vmx`. A value that does not fit is reported, naming its line, and counts as absent. */
import { resolve } from 'node:path';
import { findVmx, type VmxEntry, type VmxFile } from './dictionary.ts';
import type { FileReference } from './guest-config.ts';
import type { Problems } from './problem.ts';

const TRUE_WORDS = ['true', 'yes', '1', 'on', 't', 'y'];
const FALSE_WORDS = ['false', 'no', '0', 'off', 'f', 'n'];

export class Values {
  private readonly vmx: VmxFile;
  private readonly problems: Problems;
  private readonly directory: string;

  constructor(vmx: VmxFile, problems: Problems, directory: string) {
    this.vmx = vmx;
    this.problems = problems;
    this.directory = directory;
  }

  find(key: string): VmxEntry | undefined {
    return findVmx(this.vmx, key);
  }

  /** The text as it is, or undefined when the key is absent or empty. */
  text(key: string): string | undefined {
    const value = this.find(key)?.value;
    return value === '' ? undefined : value;
  }

  /** TRUE/FALSE in the spellings that VMware takes. */
  boolean(key: string): boolean | undefined {
    const entry = this.find(key);
    if (entry === undefined || entry.value === '') return undefined;
    const word = entry.value.trim().toLowerCase();
    if (TRUE_WORDS.includes(word)) return true;
    if (FALSE_WORDS.includes(word)) return false;
    this.wrong(entry, 'is neither TRUE nor FALSE');
    return undefined;
  }

  /** A whole number, decimal. */
  whole(key: string): number | undefined {
    const entry = this.find(key);
    if (entry === undefined || entry.value === '') return undefined;
    const text = entry.value.trim();
    if (/^[+-]?[0-9]+$/.test(text)) return Number(text);
    this.wrong(entry, 'is not a whole number');
    return undefined;
  }

  /** One of a few words, whatever their case; returned in the spelling of `words`. */
  word<const T extends string>(key: string, words: readonly T[]): T | undefined {
    const entry = this.find(key);
    if (entry === undefined || entry.value === '') return undefined;
    const found = words.find((word) => word.toLowerCase() === entry.value.trim().toLowerCase());
    if (found === undefined) this.wrong(entry, `is not one of ${words.map((w) => `"${w}"`).join(', ')}`);
    return found;
  }

  /** A file name, relative to the directory of the `.vmx`. Absent and empty are the same. */
  file(key: string): FileReference | undefined {
    const entry = this.find(key);
    if (entry === undefined || entry.value === '') return undefined;
    if (entry.value.includes('\0')) {
      this.wrong(entry, 'has a zero byte and cannot be a file name');
      return undefined;
    }
    const { line, value } = entry;
    return { key: entry.key, line, fileName: value, path: resolve(this.directory, value) };
  }

  private wrong(entry: VmxEntry, why: string): void {
    this.problems.error('vmx.value', entry, `${entry.key} = "${shortened(entry.value)}" ${why}`);
  }
}

/** A value as it may stand in a message. */
const shortened = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}...` : text);
