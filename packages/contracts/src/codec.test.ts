/** Messages out and back, and what comes from whoever means no good. */
import fc, { type Arbitrary } from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { TomeiError } from '@tomei/kit';
import { createCodecs, type Codec } from './codec.ts';
import { messages, type TransferRequest } from './index.ts';

const all = Object.entries(messages) as unknown as [string, Codec<Record<string, unknown>>][];

/** What the tests use besides the contracts: a field of every kind, as another program would declare it. */
const schema = `
  syntax = "proto3";
  package t;
  enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; }
  message Inner { uint32 n = 1; }
  message Every {
    bool flag = 1; string text = 2; bytes data = 3; uint32 small = 4; uint64 large = 5; sint32 signed = 6; double real = 7;
    Colour colour = 8; Inner inner = 9; repeated uint32 numbers = 10; repeated Inner inners = 11; repeated string texts = 12;
    repeated Colour colours = 13; optional uint32 maybe = 14; optional string maybe_text = 15;
    oneof kind { Inner first = 16; string second = 17; bytes third = 18; }
  }`;
interface Every {
  readonly [key: string]: unknown;
}
const root = protobuf.parse(schema, { keepCase: false }).root;
const codec = createCodecs(root.toJSON());
const every = codec<Every>('t.Every');

const uint32 = fc.nat({ max: 0xffff_ffff });
const uint64 = fc.nat({ max: Number.MAX_SAFE_INTEGER });
// A text of protobuf is UTF-8: half a surrogate pair has no place in it.
const text = fc.string({ unit: 'binary' }).filter((s) => s.isWellFormed());
const bytes = fc.uint8Array();
const colour = fc.constantFrom('COLOUR_UNSPECIFIED', 'COLOUR_RED');
const inner = fc.record({ n: uint32 });
const whole: Arbitrary<Every> = fc
  .tuple(
    fc.record({
      flag: fc.boolean(),
      text,
      data: bytes,
      small: uint32,
      large: uint64,
      signed: fc.integer(),
      real: fc.double({ noNaN: true, noDefaultInfinity: true }).filter((real) => !Object.is(real, -0)),
      colour,
      numbers: fc.array(uint32),
      inners: fc.array(inner),
      texts: fc.array(text),
      colours: fc.array(colour),
    }),
    fc.record({ inner, maybe: uint32, maybeText: text }, { requiredKeys: [] }),
    fc.option(
      fc.oneof(
        fc.record({ kind: fc.constant('first'), first: inner }),
        fc.record({ kind: fc.constant('second'), second: text }),
        fc.record({ kind: fc.constant('third'), third: bytes }),
      ),
      { nil: {} },
    ),
  )
  .map(([plain, optional, kind]) => ({ ...plain, ...optional, ...kind }));

describe('a message', () => {
  test('comes back as it was sent', () => {
    fc.assert(
      fc.property(whole, (value) => {
        expect(plainOf(every.decode(every.encode(value)))).toEqual(value);
      }),
    );
  });

  test('is written as every other program writes it', () => {
    const other = root.lookupType('t.Every');
    fc.assert(
      fc.property(whole, ({ kind: _, ...value }) => {
        const theirs = other.encode(other.fromObject(value)).finish();

        expect(Buffer.from(every.encode(value)).equals(theirs)).toBe(true);
      }),
    );
  });

  test('has the defaults of proto3 for what was left out, at every depth', () => {
    expect(every.decode(new Uint8Array())).toEqual({
      flag: false,
      text: '',
      data: new Uint8Array(),
      small: 0,
      large: 0,
      signed: 0,
      real: 0,
      colour: 'COLOUR_UNSPECIFIED',
      numbers: [],
      inners: [],
      texts: [],
      colours: [],
    });
    expect(messages.CreateResponse.make({ info: { warnings: ['w'], lease: {} } })).toEqual({
      info: {
        path: '',
        createType: '',
        sizeBytes: 0,
        allocatedBytes: 0,
        lease: { guestId: '', run: 0, epoch: 0 },
        warnings: ['w'],
      },
    });
  });

  test('tells an optional field that is 0 or empty from one that is not there', () => {
    const out = (value: object): Every => every.decode(every.encode(value));

    expect([out({ maybe: 0 }), out({}), out({ maybe: undefined })].map((value) => 'maybe' in value)).toEqual([
      true,
      false,
      false,
    ]);
    expect(out({ maybe: 0, maybeText: '' })).toMatchObject({ maybe: 0, maybeText: '' });
  });

  test('says which member of a oneof it has, also an empty one', () => {
    const kindOf = (value: Parameters<typeof messages.TransferRequest.encode>[0]): TransferRequest =>
      messages.TransferRequest.decode(messages.TransferRequest.encode(value));

    expect(kindOf({ id: 1, flush: {} })).toEqual({ id: 1, leaseId: '', epoch: 0, kind: 'flush', flush: {} });
    expect(kindOf({ id: 1, read: {} })).toMatchObject({ kind: 'read', read: { offset: 0, length: 0 } });
    expect(kindOf({ id: 1 }).kind).toBeUndefined();
  });

  test('with several members of a oneof on the wire has the last one', () => {
    const first = every.encode({ first: { n: 1 } });
    const second = every.encode({ second: 'x' });

    for (const [parts, kind] of [
      [[first, second], 'second'],
      [[second, first], 'first'],
    ] as const) {
      const decoded = every.decode(Buffer.concat(parts));
      expect(decoded['kind']).toBe(kind);
      expect(['first', 'second', 'third'].filter((member) => member in decoded)).toEqual([kind]);
    }
  });

  test('of a later version is read as far as it is known', () => {
    const later = protobuf.parse(
      `syntax = "proto3"; package t;
       enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_GREEN = 7; }
       message Every { uint32 small = 4; Colour colour = 8; repeated Colour colours = 13; string later = 900; }`,
    ).root;
    const type = later.lookupType('t.Every');
    const wire = type.encode(type.fromObject({ small: 5, colour: 7, colours: [7, 0], later: 'x' })).finish();

    expect(every.decode(wire)).toMatchObject({
      small: 5,
      colour: 'COLOUR_UNSPECIFIED',
      colours: ['COLOUR_UNSPECIFIED', 'COLOUR_UNSPECIFIED'],
    });
    expect(every.decode(wire)).not.toHaveProperty('later');
  });

  test('keeps whole numbers up to 2^53 exactly', () => {
    for (const large of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      expect(every.decode(every.encode({ large }))['large']).toBe(large);
      expect(every.fromJson(every.toJson(every.make({ large })))['large']).toBe(large);
    }
  });

  test('does not share what it was made of', () => {
    const data = Uint8Array.of(1, 2, 3);
    const encoded = every.encode({ data });
    data.fill(9);

    expect([...(every.decode(encoded)['data'] as Uint8Array)]).toEqual([1, 2, 3]);
  });

  test.each(all.map(([name]) => name))('%s survives with nothing in it', (name) => {
    const one = messages[name as keyof typeof messages] as Codec<object>;

    expect(one.name).toBe(`tomei.v1.${name}`);
    expect(one.encode({})).toHaveLength(0);
    expect(one.decode(new Uint8Array())).toEqual(one.make({}));
    expect(one.fromJson(one.toJson(one.make({})))).toEqual(one.make({}));
  });
});

describe('as JSON', () => {
  test('a message comes back, its bytes too', () => {
    fc.assert(
      fc.property(whole, (value) => {
        expect(plainOf(every.fromJson(every.toJson(every.make(value))))).toEqual(plainOf(every.make(value)));
      }),
    );
  });

  test.each(['', '{', 'null', '[]', '1', '"x"', '{"inner":1}', '{"numbers":1}', '{"inners":[1]}'])(
    '%s is refused',
    (json) => {
      expect(() => every.fromJson(json)).toThrow(expect.objectContaining({ code: 'message.malformed' }));
    },
  );

  test('a name of an enum that is not known, as a later version may have, is the unspecified one', () => {
    expect(every.fromJson('{"colour":"COLOUR_PINK","small":5}')).toMatchObject({
      colour: 'COLOUR_UNSPECIFIED',
      small: 5,
    });
  });

  test('nothing reaches an object by a name of its prototype', () => {
    const hostile = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"small":5}';

    expect(every.fromJson(hostile)).toMatchObject({ small: 5 });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('bytes that mean no good', () => {
  const decodes = (one: Codec<unknown>, wire: Uint8Array): void => {
    try {
      one.decode(wire);
    } catch (error) {
      expect(error).toBeInstanceOf(TomeiError);
      expect(error).toMatchObject({ code: 'message.malformed', message: expect.stringContaining(one.name) as string });
    }
  };

  test('are a message or refused, never another error', () => {
    fc.assert(
      fc.property(fc.constantFrom(...all), fc.uint8Array({ maxLength: 200 }), ([, one], wire) => decodes(one, wire)),
      { numRuns: 3_000 },
    );
  });

  test('as a message that was cut or changed are a message or refused', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 });
    fc.assert(
      fc.property(whole, damage, fc.nat(), (value, changes, cut) => {
        const wire = every.encode(value);
        const damaged = Uint8Array.from(wire).subarray(0, cut % (wire.length + 1));
        for (const [at, byte] of changes) if (damaged.length > 0) damaged[at % damaged.length] = byte;

        decodes(every, damaged);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ['that end in the middle of a field', '0a05616263'],
    ['with a length beyond everything', '12ffffffff0f'],
    ['with a number that never ends', '20ffffffffffffffffffffffff01'],
    ['with the end of a group that did not begin', '0c'],
    ['with field 0', '00'],
  ])('%s are refused', (_, hex) => {
    expect(() => every.decode(Buffer.from(hex, 'hex'))).toThrow(expect.objectContaining({ code: 'message.malformed' }));
  });

  test('that nest without end are refused, and the stack survives', () => {
    const nesting = createCodecs(
      protobuf.parse('syntax = "proto3"; package n; message N { N n = 1; }', { keepCase: false }).root.toJSON(),
    )<object>('n.N');
    let wire = new Uint8Array();
    for (let depth = 0; depth < 5_000; depth++) {
      const writer = protobuf.Writer.create().uint32(10).bytes(wire);
      wire = Uint8Array.from(writer.finish());
    }

    decodes(nesting, wire);
  });

  test('fields of another type are refused when a message is made', () => {
    const make = (value: object): unknown => every.make(value);

    for (const value of [{ inner: 5 }, { numbers: 5 }, { inners: [5] }])
      expect(() => make(value)).toThrow(expect.objectContaining({ code: 'message.malformed' }));
  });
});

/** With bytes as `Uint8Array`, whatever kind of it they are. */
function plainOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(plainOf);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plainOf(one)]));
}
