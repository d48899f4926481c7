/** The generated interpreter as a module: what it holds, asks for, and shares. */
import { describe, expect, it } from 'vitest';
import { decoder } from '../processor.ts';
import { TestProcessor, le32 } from '../test-processor.ts';
import { compileInterpreter, instantiateInterpreter } from './engine.ts';
import { generateInterpreter, importName } from './generate.ts';
import { PSEUDO_COUNT } from './record.ts';
import { Locals } from './value.ts';

const { forms } = decoder().table;
const generated = generateInterpreter(forms);

describe('the module', () => {
  it('validates', () => {
    expect(WebAssembly.validate(generated.bytes)).toBe(true);
  });
  it('is the same every time: compiled code may be kept', () => {
    expect(Buffer.compare(generateInterpreter(forms).bytes, generated.bytes)).toBe(0);
  });
  it('has a handler of its own for each form, those under the dispatch first', () => {
    const numbers = [...generated.handlerOf];
    expect(numbers.toSorted((a, b) => a - b)).toEqual(forms.map((_, i) => PSEUDO_COUNT + i));
    const inline = forms.filter((form) => generated.handlerOf[form.index]! < PSEUDO_COUNT + generated.inlineCount);
    expect(inline).toHaveLength(generated.inlineCount);
    expect(inline.every((f) => f.row.hot === true && f.size === 32 && f.addressSize === 32)).toBe(true);
  });
  it('asks for each service and leaf once by name and types', () => {
    const names = generated.imports.map(importName);
    expect(new Set(names).size).toBe(names.length);
    const wanted = WebAssembly.Module.imports(new WebAssembly.Module(generated.bytes)).filter(
      (i) => i.kind === 'function',
    );
    expect(wanted.map((i) => i.name).toSorted()).toEqual(names.toSorted());
  });
  it('is compiled once for a table', () => {
    expect(compileInterpreter(decoder().table)).toBe(compileInterpreter(decoder().table));
  });
  it('says which service a core lacks', () => {
    const t = new TestProcessor();
    expect(() => instantiateInterpreter(compileInterpreter(decoder().table), t.cpu, {}, {})).toThrow(
      /the core has no service/,
    );
  });
});

describe('errors of our own', () => {
  it('go up through the running code, and are not taken for faults of the guest', () => {
    const t = new TestProcessor();
    t.bus.onAccess = () => {
      throw new TypeError('a bug in a device');
    };
    expect(() => t.execute(0xa1, ...le32(0xa000_0000))).toThrow('a bug in a device');
    expect(() => t.execute(0xe4, 0x60)).toThrow('a bug in a device');
  });
});

describe('two processors', () => {
  it('run the same module over state of their own', () => {
    const a = new TestProcessor(),
      b = new TestProcessor();
    a.execute(0xb8, ...le32(1));
    b.execute(0xb8, ...le32(2));
    expect([a.register(0), b.register(0)]).toEqual([1, 2]);
  });
});

describe('locals', () => {
  it('of a handler are given to the next one, by type', () => {
    const locals = new Locals(5);
    const fixed = locals.fixed('i');
    const first = [locals.take('i'), locals.take('l'), locals.take('i')];
    expect([fixed, ...first]).toEqual([5, 6, 7, 8]);

    locals.reset();

    expect([locals.take('i'), locals.take('i'), locals.take('i')]).toEqual([6, 8, 9]);
    expect(locals.take('l')).toBe(7);
    expect(locals.types).toEqual(['i', 'i', 'l', 'i', 'i']);
  });
  it('that are taken twice are different until the handler ends', () => {
    const locals = new Locals(0);
    for (let round = 0; round < 3; round++) {
      const taken = Array.from({ length: 20 }, () => locals.take('v'));
      expect(new Set(taken).size).toBe(20);
      locals.reset();
    }
    expect(locals.types).toHaveLength(20);
  });
});
