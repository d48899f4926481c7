/** VMware's tools in a guest and the host: channels, what each asks of the other, and what a guest that keeps to nothing can do. */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../machine/battery.ts';
import { RPCI, TCLO, backdoorGuest, bytesOf } from './backdoor-guest.ts';

const SECOND = 1e9;

describe('a message channel', () => {
  it('passes messages of every length up to 64 KiB, and refuses longer ones', () => {
    const { open, send, receive, pass } = backdoorGuest();
    const channel = open(RPCI)!;
    for (const length of [1, 2, 3, 4, 5, 1000, 0x1_0000 - 'info-set guestinfo.a '.length]) {
      const value = 'v'.repeat(length);
      expect(send(channel, bytesOf(`info-set guestinfo.a ${value}`))).toBe(true);
      expect(receive(channel)).toBe('1 ');
      expect(send(channel, bytesOf('info-get guestinfo.a'))).toBe(true);
      expect(receive(channel)).toBe(`1 ${value}`);
    }
    expect(pass(1, 0x1_0001, channel).status).toBe(0);
    expect(send(channel, bytesOf('info-get guestinfo.a'))).toBe(true);
  });
  it('is for who opened it, until it is closed', () => {
    const { open, pass, close, ask } = backdoorGuest();
    const channel = open(RPCI)!;
    expect(pass(1, 4, { ...channel, cookies: [channel.cookies[0], channel.cookies[1] ^ 1] }).status).toBe(0);
    expect(pass(1, 4, { ...channel, id: 9 }).status).toBe(0);
    expect(pass(1, 4, channel).status).toBe(1);
    expect(close(channel)).toBe(true);
    expect(pass(1, 4, channel).status).toBe(0);
    expect(ask('log hello')).toBe('1 ');
  });
  it('is open without cookies to programs that know none', () => {
    const { pass } = backdoorGuest();
    const none = { id: 0, cookies: [0, 0] as const };
    expect(pass(0, RPCI, none)).toMatchObject({ status: 1, upper: 0 });
    expect(pass(1, 4, { id: 0, cookies: [5, 6] }).status).toBe(1);
  });
  it('clears the lower halves of ECX and EDX, as OpenBSD looks at them', () => {
    const { open, values } = backdoorGuest();
    open(RPCI);
    expect([values[1], values[2]! & 0xffff]).toEqual([1 << 16, 0]);
  });
  it('knows no other protocol, and a message is sent and fetched in order', () => {
    const { open, pass, send, receive } = backdoorGuest();
    expect(open(0x1234)).toBeUndefined();
    const channel = open(RPCI)!;
    expect(pass(2, 0, channel).status, 'a piece of nothing').toBe(0);
    expect(pass(4, 1, channel).status, 'a piece of no answer').toBe(0);
    expect(receive(channel)).toBe('');
    send(channel, bytesOf('log a'));
    expect(pass(3, 0, channel)).toMatchObject({ status: 3, upper: 1, value: 2 });
    // The guest gives it up.
    expect(pass(4, 0, channel).status).toBe(0);
    expect(receive(channel)).toBe('');
    expect(pass(7, 0, channel).status, 'no such call').toBe(0);
  });
  it('is one of eight, and one that is silent for half a minute makes room', () => {
    const { open, clock, pass } = backdoorGuest();
    const channels = Array.from({ length: 8 }, () => open(RPCI)!);
    expect(channels.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(open(RPCI)).toBeUndefined();
    clock.advance(20 * SECOND);
    channels.forEach((channel) => channel.id !== 5 && pass(3, 0, channel));
    clock.advance(11 * SECOND);
    expect(open(RPCI)!.id).toBe(5);
    expect(pass(3, 0, channels[5]!).status).toBe(0);
    expect(open(RPCI)).toBeUndefined();
  });
});

describe('a program of the guest asks', () => {
  it('for values of the .vmx and its own, in whatever case', () => {
    const { ask, board } = backdoorGuest({ info: { role: 'web' } });
    expect(ask('info-get guestinfo.role')).toBe('1 web');
    expect(ask('info-get guestinfo.Role\0')).toBe('1 web');
    expect(ask('info-set guestinfo.Role a b  c')).toBe('1 ');
    expect(ask('info-get guestinfo.ROLE')).toBe('1 a b  c');
    expect(ask('info-get guestinfo.none')).toBe('0 No value found');
    expect(ask('info-get guestinfo.__proto__')).toBe('0 No value found');
    expect(ask('info-get displayName')).toBe('0 No value found');
    expect(ask('info-set displayName x')).toMatch(/^0 /);
    board.reset();
    expect(ask('info-get guestinfo.role')).toBe('1 web');
  });
  it('to keep no more than there is room for', () => {
    const { ask } = backdoorGuest();
    const long = 'x'.repeat(60_000);
    const answers = [1, 2, 3, 4, 5].map((n) => ask(`info-set guestinfo.k${n} ${long}`));
    expect(answers.map((each) => each?.[0])).toEqual(['1', '1', '1', '1', '0']);
    expect(ask('info-set guestinfo.k1 short')).toBe('1 ');
    expect(ask(`info-set guestinfo.k5 ${'x'.repeat(50_000)}`)).toBe('1 ');
    const { ask: again } = backdoorGuest();
    for (let n = 0; n < 256; n++) expect(again(`info-set guestinfo.n${n} v`)).toBe('1 ');
    expect(again('info-set guestinfo.n256 v')).toMatch(/^0 /);
    expect(again(`info-set guestinfo.${'n'.repeat(129)} v`)).toMatch(/^0 /);
  });
  it('to write to the log, as printable text, and is refused what is not there', () => {
    const { ask, told } = backdoorGuest();
    expect(ask('log started \x1b[2J\xff' + 'y'.repeat(300))).toBe('1 ');
    expect(told).toEqual([`the guest says: started ?[2J?${'y'.repeat(187)}`]);
    expect(ask('vmx.capability.copypaste_version')).toBe('0 Unknown command');
    expect(ask('')).toBe('0 Unknown command');
  });
});

describe('the host asks the tools', () => {
  it('who they are, what they can do, and to shut the system down', () => {
    const { open, listen, ask, parts } = backdoorGuest();
    const channel = open(TCLO)!;
    expect(listen(channel)).toBe('reset');
    expect(parts.halt()).toBe(false);
    expect(listen(channel, 'OK ATR toolbox')).toBe('Capabilities_Register');
    expect(parts.halt(), 'it has not said that it can').toBe(false);
    expect(ask('vmx.capability.unified_loop toolbox')).toBe('1 ');
    expect(ask('tools.capability.statechange ')).toBe('1 ');
    expect(ask('tools.set.version 2147483647')).toBe('1 ');
    expect(listen(channel, 'OK ')).toBe('');

    expect(parts.halt()).toBe(true);
    expect(parts.halt(), 'once').toBe(false);
    expect(listen(channel)).toBe('OS_Halt');
    expect(ask('tools.os.statechange.status 1 1')).toBe('1 ');
    expect(listen(channel, 'OK ')).toBe('');
    expect(parts.halt()).toBe(false);
  });
  it('again, when they say that they did not', () => {
    const { installed, listen, parts, ask, told } = backdoorGuest();
    const channel = installed();
    expect(parts.halt()).toBe(true);
    listen(channel);
    listen(channel, 'ERROR Unknown command');
    expect(told).toEqual(['the tools did not shut the system down: ERROR Unknown command']);
    expect(parts.halt()).toBe(true);
    listen(channel);
    ask('tools.os.statechange.status 0 1');
    expect(parts.halt()).toBe(true);
  });
  it('the listener of the system, not that of a person', () => {
    const { installed, listen, parts } = backdoorGuest();
    const personal = installed('toolbox-dnd');
    expect(parts.halt()).toBe(false);
    const system = installed('toolbox');
    expect(parts.halt()).toBe(true);
    expect([listen(personal), listen(system)]).toEqual(['', 'OS_Halt']);
  });
  it('whether they are there still, and does not count on who is silent or gone', () => {
    const { installed, listen, parts, clock, close } = backdoorGuest();
    const channel = installed();
    clock.advance(29 * SECOND);
    expect(listen(channel)).toBe('');
    clock.advance(2 * SECOND);
    expect(listen(channel)).toBe('ping');
    clock.advance(28 * SECOND);
    listen(channel, 'OK ');
    clock.advance(59 * SECOND);
    expect(parts.halt()).toBe(true);

    const other = backdoorGuest();
    other.installed();
    other.clock.advance(60 * SECOND);
    expect(other.parts.halt()).toBe(false);
    close(channel);
    expect(parts.halt()).toBe(false);
  });
  it('goes on where a state was saved', () => {
    const first = backdoorGuest(),
      channel = first.installed();
    first.parts.halt();
    first.parts.offerText('text');
    first.pass(1, 3, channel);
    const second = backdoorGuest();
    second.board.restore(structuredClone(first.board.save()));
    expect(second.pass(2, 0x2058_4b4f, channel).status).toBe(1);
    expect(second.receive(channel)).toBe('OS_Halt');
  });
  it('starts from states of the first version', () => {
    const { board, ask } = backdoorGuest();
    const saved = structuredClone(board.save());
    const device = saved.devices['vmware-backdoor']!,
      { pointer } = device.state as { pointer: unknown };
    const devices = { ...saved.devices, 'vmware-backdoor': { ...device, version: 1, state: { pointer } } };
    board.restore({ ...saved, devices });
    expect(ask('log a')).toBe('1 ');
  });
});

describe('the clipboard', () => {
  const fetch = ({ call }: ReturnType<typeof backdoorGuest>): string => {
    const length = call(6)[0]!;
    const words = Array.from({ length: Math.ceil(length / 4) }, () => call(7)[0]!);
    const bytes = words.flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff));
    return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes.slice(0, length)));
  };
  const copy = ({ call }: ReturnType<typeof backdoorGuest>, bytes: Uint8Array): void => {
    call(8, bytes.length);
    for (let at = 0; at < bytes.length; at += 4)
      call(9, [0, 1, 2, 3].reduce((all, i) => all | ((bytes[at + i] ?? 0) << (8 * i)), 0) >>> 0);
  };
  const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

  it('brings a text of the host once, each length of it', () => {
    const guest = backdoorGuest();
    expect(guest.call(6)[0]).toBe(0);
    for (const text of ['a', 'ab', 'abc', 'abcd', 'größer, 漢字 🙂', 'z'.repeat(65_436)]) {
      expect(guest.parts.offerText(text)).toBe(true);
      expect(fetch(guest)).toBe(text);
      expect(guest.call(6)[0]).toBe(0);
    }
    expect(guest.parts.offerText('z'.repeat(65_437))).toBe(false);
    expect(guest.parts.offerText('ä'.repeat(32_719))).toBe(false);
    expect(guest.call(7)[0]).toBe(0);
  });
  it('brings the newest, and begins anew when it is asked for its length', () => {
    const guest = backdoorGuest();
    guest.parts.offerText('older text');
    guest.call(6);
    guest.call(7);
    expect(fetch(guest)).toBe('older text');
    guest.parts.offerText('older text');
    guest.call(7);
    guest.parts.offerText('newer');
    expect(fetch(guest)).toBe('newer');
  });
  it('takes texts of the guest, with what is no UTF-8 replaced, and none that is too long', () => {
    const guest = backdoorGuest();
    for (const text of ['a', 'abcd', 'größer, 漢字 🙂', 'z'.repeat(65_436)]) copy(guest, utf8(text));
    copy(guest, Uint8Array.of(0x61, 0xff, 0x62));
    copy(guest, utf8('z'.repeat(65_437)));
    copy(guest, new Uint8Array(0));
    guest.call(9, 0x6161_6161);
    expect(guest.copied).toEqual(['a', 'abcd', 'größer, 漢字 🙂', 'z'.repeat(65_436), 'a\ufffdb']);
  });
  it('passes one way, the other, or none', () => {
    const noPaste = backdoorGuest({ clipboard: { copy: true, paste: false } });
    expect(noPaste.parts.offerText('secret')).toBe(false);
    expect(noPaste.call(6)[0]).toBe(-2 >>> 0);
    expect(noPaste.call(7)[0]).toBe(0);
    copy(noPaste, utf8('out'));
    expect(noPaste.copied).toEqual(['out']);
    const noCopy = backdoorGuest({ clipboard: { copy: false, paste: true } });
    copy(noCopy, utf8('out'));
    expect(noCopy.copied).toEqual([]);
    expect([noCopy.call(13)[0], backdoorGuest({ clipboard: { copy: false, paste: false } }).call(13)[0]]).toEqual([
      0x10, 0,
    ]);
  });
  it('has the tools look when a person comes and goes', () => {
    const { call, parts, clock } = backdoorGuest();
    const AWAY = 0xff9c_ff9c;
    expect(call(4)[0]).toBe(AWAY);
    parts.pointer({ dx: 1, dy: 0, dz: 0, buttons: 0 });
    expect(call(4)[0]).toBe(0);
    call(5, 0x0123_0045);
    expect(call(4)[0]).toBe(0x0123_0045);
    clock.advance(SECOND - 1);
    expect(call(4)[0]).toBe(0x0123_0045);
    clock.advance(1);
    expect(call(4)[0]).toBe(AWAY);
  });
});

it('whatever a guest says, it stays within its bounds, answers 32 bits, and a copy of it goes on like it (seeds 1 to 20)', () => {
  const words = ['log', 'info-set guestinfo.a', 'info-get guestinfo.a', 'tools.capability.statechange', 'OK ATR x', ''];
  /** Anything that a guest and a person may do. */
  const step = (guest: ReturnType<typeof backdoorGuest>, next: (n: number) => number): unknown => {
    guest.clock.advance(next(2 * SECOND));
    const value = [next(8), next(70_000), RPCI, TCLO, next(2 ** 32)][next(5)]!;
    switch (next(10)) {
      case 0:
        return guest.ask(`${words[next(words.length)]!} ${'v'.repeat(next(3000))}`);
      case 1:
        return guest.parts.offerText('t'.repeat([next(9), next(70_000)][next(20) === 0 ? 1 : 0]!));
      case 2:
        return guest.parts.halt();
      case 3:
        return guest.listen({ id: next(8), cookies: [0, 0] }, words[next(words.length)]);
      case 4:
      case 5:
        return guest.call([4, 5, 6, 7, 8, 9, 13, 30][next(8)]!, value);
      default:
        return guest.pass(next(8), value, { id: next(9), cookies: [0, 0] });
    }
  };
  for (let seed = 1; seed <= 20; seed++) {
    const { next } = seededRandom(seed),
      first = backdoorGuest({ info: { a: 'b' } });
    for (let n = 0; n < 500; n++) {
      step(first, next);
      expect(first.values.every((each) => each >= 0 && each < 2 ** 32)).toBe(true);
    }
    const second = backdoorGuest({ info: { a: 'b' } });
    second.clock.advance(first.clock.now());
    second.board.restore(structuredClone(first.board.save()));
    const [one, other] = [seededRandom(seed + 99), seededRandom(seed + 99)];
    for (let n = 0; n < 500; n++) expect(step(second, other.next), `step ${n}`).toEqual(step(first, one.next));
    expect(second.board.save()).toEqual(first.board.save());
  }
});
