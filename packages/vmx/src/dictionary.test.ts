import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TomeiError } from '@tomei/kit';
import { createVmx, formatVmx, getVmx, parseVmx, setVmx } from './dictionary.ts';
import { readGuestConfig } from './guest-config.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (text: string) => parseVmx(bytes(text), 'g.vmx');
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof TomeiError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'nothing thrown';
};

describe('parseVmx', () => {
  it.each([
    ['quoted', 'memsize = "64"', 'memsize', '64'],
    ['unquoted', 'memsize = 64', 'memsize', '64'],
    ['no spaces', 'memsize="64"', 'memsize', '64'],
    ['tabs and a comment', '\tmemsize\t=\t"64"  # megabytes', 'memsize', '64'],
    ['a comment behind an unquoted value', 'memsize = 64#x', 'memsize', '64'],
    ['another case', 'MemSize = "64"', 'memsize', '64'],
    ['empty', 'annotation = ""', 'annotation', ''],
    ['nothing after the sign', 'annotation =', 'annotation', ''],
    ['hash and equals in quotes', 'a = "x=1 # y"', 'a', 'x=1 # y'],
    ['escapes', 'a = "say |22hi|22|0A|7c"', 'a', 'say "hi"\n|'],
    ['escapes as UTF-8 bytes', 'a = "caf|C3|A9"', 'a', 'café'],
    ['a bar that escapes nothing', 'a = "x|yz|1"', 'a', 'x|yz|1'],
    ['escapes without quotes', 'a = x|20y', 'a', 'x y'],
    ['CRLF', 'memsize = "64"\r\nb = "1"\r\n', 'memsize', '64'],
    ['a byte order mark', '\ufeffmemsize = "64"', 'memsize', '64'],
    ['the last of duplicates', 'a = "1"\nA = "2"', 'a', '2'],
    ['slots', 'scsi0:0.fileName = "a b.vmdk"', 'SCSI0:0.FILENAME', 'a b.vmdk'],
  ])('reads a value: %s', (_, text, key, value) => expect(getVmx(parse(text), key)).toBe(value));

  it.each([
    ['no equals sign', 'a = "1"\n\nmemsize 64\n', 'vmx.syntax: g.vmx:3: expected key = "value"'],
    ['no key', '= "1"', 'vmx.syntax: g.vmx:1: expected key = "value"'],
    [
      'an open quote',
      '# c\na = "1',
      'vmx.syntax: g.vmx:2: the value has no closing quote; write a quote inside it as |22',
    ],
    ['text after the quote', 'a = "1" 2', 'vmx.syntax: g.vmx:1: there is text after the closing quote'],
    ['unquoted spaces', 'a = b c', 'vmx.syntax: g.vmx:1: a value with spaces needs quotes'],
    ['a zero byte', 'a = "\0"', 'vmx.syntax: g.vmx:1: the line has a zero byte; this is not a text file'],
    [
      'an unknown character set',
      '.encoding = "klingon"',
      "vmx.encoding: g.vmx:1: .encoding: 'klingon' is not a character set",
    ],
    ['UTF-16', '.encoding = "UTF-16LE"', "vmx.encoding: g.vmx:1: .encoding: 'UTF-16LE' is not a character set"],
  ])('refuses %s, naming the line', (_, text, error) => expect(codeOf(() => parse(text))).toContain(error));

  it('refuses bytes that are not of the named character set', () => {
    const text = [...bytes('.encoding = "UTF-8"\na = "'), 0xe9, ...bytes('"\n')];
    expect(codeOf(() => parseVmx(Uint8Array.from(text), 'g.vmx'))).toBe(
      'vmx.encoding: g.vmx:2: the line has bytes that are not UTF-8 text',
    );
  });

  it('refuses a file of five megabytes', () => {
    expect(codeOf(() => parseVmx(new Uint8Array(5 << 20), 'g.vmx'))).toContain('vmx.too-large: g.vmx:');
  });

  it.each([
    ['windows-1252', [0x80, 0xe9], '€é'],
    ['Shift_JIS', [0x83, 0x7c, 0x83, 0x65], 'ポテ'], // 0x7c, the escape's bar, is the second half of a character
    ['GBK', [0xd6, 0xd0, 0xce, 0xc4], '中文'],
    ['KOI8-R', [0xf4, 0xc5], 'Те'],
  ])('reads and writes %s', (label, encoded, text) => {
    const file = Uint8Array.from([...bytes(`.encoding = "${label}"\na = "`), ...encoded, ...bytes('"\n')]);
    const written = setVmx(parseVmx(file, 'g.vmx'), 'b', text);

    const again = parseVmx(formatVmx(written), 'g.vmx');

    expect(again.encoding).toBe(label);
    expect(getVmx(again, 'a')).toBe(text);
    expect(getVmx(again, 'b')).toBe(text);
  });

  it('takes bytes that are no UTF-8 for windows-1252, with a warning, when nothing is said', () => {
    const vmx = parseVmx(Uint8Array.from([...bytes('displayName = "caf'), 0xe9, 0x22]), 'g.vmx');
    expect([getVmx(vmx, 'displayname'), vmx.warnings.map((w) => w.code)]).toEqual(['café', ['vmx.encoding']]);
  });

  it('warns of duplicates, naming both lines', () => {
    expect(parse('a = "1"\n#\nA = "2"').warnings.map((w) => w.message)).toEqual([
      'g.vmx:3: A was already set on line 1; the last one counts',
    ]);
  });
});

describe('setVmx and formatVmx', () => {
  const text = '\ufeff# head\r\n\r\n  MemSize=64 # why\r\nb = "2"';

  it('writes back what was read, byte for byte', () => expect(formatVmx(parse(text))).toEqual(bytes(text)));

  it.each([
    [
      'in place, keeping spelling and comment',
      'memsize',
      '128',
      '\ufeff# head\r\n\r\n  MemSize="128" # why\r\nb = "2"',
    ],
    ['on an unfinished last line', 'B', 'x', '\ufeff# head\r\n\r\n  MemSize=64 # why\r\nb = "x"'],
    ['by appending', 'c', 'a"|\n', '\ufeff# head\r\n\r\n  MemSize=64 # why\r\nb = "2"\r\nc = "a|22|7C|0A"\r\n'],
    ['by removing', 'memsize', null, '\ufeff# head\r\n\r\nb = "2"'],
    ['by removing what is not there', 'zzz', null, text],
  ])('edits %s', (_, key, value, expected) => {
    expect(formatVmx(setVmx(parse(text), key, value))).toEqual(bytes(expected));
  });

  it.each([['a b'], ['a=b'], ['#a'], ['a"b'], ['']])('refuses the key %j', (key) => {
    expect(codeOf(() => setVmx(parse(''), key, '1'))).toContain('vmx.key:');
  });

  it('refuses a character that the file cannot hold', () => {
    expect(codeOf(() => setVmx(parse('.encoding = "windows-1252"'), 'a', '透'))).toContain("vmx.encoding: '透'");
  });
});

describe('any input', () => {
  const key = fc.stringMatching(/^[A-Za-z0-9_.:]{1,20}$/).filter((k) => k.toLowerCase() !== '.encoding');
  const value = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((v) => !v.includes('\0') && v.isWellFormed());

  it('survives createVmx, formatVmx and parseVmx', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(key, value), { selector: ([k]) => k.toLowerCase() }), (pairs) => {
        const again = parseVmx(formatVmx(createVmx(pairs, 'g.vmx')), 'g.vmx');
        expect(again.entries.slice(1).map((e) => [e.key, e.value])).toEqual(pairs);
      }),
    );
  });

  const line = fc.oneof(
    fc.tuple(key, value).map(([k, v]) => `${k} = "${v.replace(/["|\r\n]/g, '_')}"`),
    fc.constantFrom('', '# comment', '  ', 'a=1', '\tx = y # z', 'nonsense', 'tomei.kernal = "k"', 'memsize = "7"'),
    fc.constantFrom('scsi0:0.present = "TRUE"', 'ide9:9.present = "1"', 'serial0.present = "yes"', '.encoding = "GBK"'),
    fc.string(),
  );
  const text = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n'))).map((l) => bytes(l.flat().join('')));
  const raw = fc.oneof(fc.uint8Array({ maxLength: 400 }), text);

  it('is written back unchanged, and ends in a configuration or a TomeiError that names the file', () => {
    fc.assert(
      fc.property(raw, (input) => {
        try {
          const vmx = parseVmx(input, 'g.vmx');
          expect(formatVmx(vmx)).toEqual(input);
          readGuestConfig(vmx, '/guests');
        } catch (error) {
          if (!(error instanceof TomeiError)) throw error;
          expect(error.message).toContain('g.vmx');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps every other line when one key is set', () => {
    fc.assert(
      fc.property(text, key, value, (input, k, v) => {
        let vmx;
        try {
          vmx = parseVmx(input, 'g.vmx');
        } catch {
          return;
        }
        if (vmx.encoding !== 'UTF-8') return;
        const set = setVmx(vmx, k, v);
        expect(getVmx(set, k)).toBe(v);
        const others = (entries: typeof set.entries) => entries.filter((e) => e.key.toLowerCase() !== k.toLowerCase());
        expect(others(set.entries)).toEqual(others(vmx.entries));
      }),
    );
  });
});
