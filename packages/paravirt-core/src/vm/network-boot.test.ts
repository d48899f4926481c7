/**
 * iPXE, as QEMU's network cards carry it in their ROM, boots from SeaBIOS on our card, finds it, and asks for the address that a
 * server of the test's own offers over the wire. Debian packages: seabios, ipxe-qemu.
 */
import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { be16, onesSum, putBe16 } from '../devices/e1000/checksum.ts';
import { textOf } from '../display/text-screen.ts';
import { ensureNumerics } from '../numerics/build.ts';
import { InstructionClock } from './clocks.ts';
import { Machine } from './machine.ts';

const BIOS = '/usr/share/seabios/bios-256k.bin';
const VIDEO_BIOS = '/usr/share/seabios/vgabios-stdvga.bin';
const ROM = '/usr/lib/ipxe/82540em.rom';
const missing = [BIOS, VIDEO_BIOS, ROM].filter((file) => !existsSync(file));

const MAC = [0x00, 0x0c, 0x29, 0x12, 0x34, 0x56];
const SERVER_MAC = [0x00, 0x0c, 0x29, 0x65, 0x43, 0x21];
const SERVER = [10, 1, 2, 1];
const CLIENT = [10, 1, 2, 99];
const [DISCOVER, OFFER, REQUEST] = [1, 2, 3];

const OPTIONS = 14 + 20 + 8 + 240;
const OPTION_ADDRESS = 50;
const OPTION_TYPE = 53;
/** An option of a DHCP message from a client (RFC 2132); undefined where there is none, or no such message. */
function dhcpOption(frame: Uint8Array, option: number): number[] | undefined {
  const isDhcp = be16(frame, 12) === 0x0800 && frame[23] === 17 && be16(frame, 36) === 67;
  if (!isDhcp) return undefined;
  for (let at = OPTIONS; at < frame.length && frame[at] !== 255; at += 2 + frame[at + 1]!) {
    if (frame[at] === option) return [...frame.subarray(at + 2, at + 2 + frame[at + 1]!)];
  }
  return undefined;
}
/** What a server offers. Its option 175 tells iPXE not to wait for other servers. */
function dhcpOffer(request: Uint8Array): Uint8Array {
  const message = new Uint8Array(300);
  message.set(request.subarray(42, 42 + 44));
  message[0] = 2;
  message.set(CLIENT, 16);
  message.set(SERVER, 20);
  message.set(
    [
      99,
      130,
      83,
      99,
      OPTION_TYPE,
      1,
      OFFER,
      54,
      4,
      ...SERVER,
      1,
      4,
      255,
      255,
      255,
      0,
      51,
      4,
      0,
      0,
      14,
      16,
      175,
      3,
      176,
      1,
      1,
      255,
    ],
    236,
  );
  const frame = new Uint8Array(42 + message.length);
  frame.set([...MAC, ...SERVER_MAC, 0x08, 0x00, 0x45, 0], 0);
  putBe16(frame, 16, frame.length - 14);
  frame.set([64, 17], 22);
  frame.set([...SERVER, 255, 255, 255, 255], 26);
  putBe16(frame, 24, ~onesSum(frame, 14, 34) & 0xffff);
  putBe16(frame, 34, 67);
  putBe16(frame, 36, 68);
  putBe16(frame, 38, 8 + message.length);
  frame.set(message, 42);
  return frame;
}

beforeAll(() => ensureNumerics());

describe.skipIf(missing.length > 0)(
  `network boot${missing.length > 0 ? ` (skipped: no ${missing.join()})` : ''}`,
  () => {
    it('finds the card and asks for the address it is offered', () => {
      const asked: number[] = [];
      let address: number[] | undefined;
      const replies: Uint8Array[] = [];
      let receive: (frame: Uint8Array) => boolean = () => false;
      const machine = new Machine(
        {
          ramBytes: 64 << 20,
          videoMemoryBytes: 16 << 20,
          epoch: 1_700_000_000,
          commandLine: '',
          firmware: { bios: readFileSync(BIOS), videoBios: readFileSync(VIDEO_BIOS) },
        },
        {
          serial: [],
          disks: [],
          networks: [
            {
              mac: Uint8Array.from(MAC),
              rom: readFileSync(ROM),
              wire: {
                linkUp: true,
                onReceive: (handler) => void (receive = handler),
                send(frame) {
                  const [type] = dhcpOption(frame, OPTION_TYPE) ?? [];
                  if (type !== undefined) asked.push(type);
                  if (type === DISCOVER) replies.push(dhcpOffer(frame));
                  address = dhcpOption(frame, OPTION_ADDRESS) ?? address;
                },
              },
            },
          ],
        },
        new InstructionClock(),
      );
      machine.powerOn();
      for (let slice = 0; slice < 20_000 && address === undefined; slice++) {
        machine.runSlice();
        machine.lookAtClock();
        for (const reply of replies.splice(0)) expect(receive(reply)).toBe(true);
      }

      expect(textOf(machine.view()).join('\n')).toContain('net0: 00:0c:29:12:34:56 using 82540em');
      expect([asked, address]).toEqual([[DISCOVER, REQUEST], CLIENT]);
    });
  },
);
