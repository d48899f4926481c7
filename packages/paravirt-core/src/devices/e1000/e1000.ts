/**
 * An Intel 82540EM gigabit Ethernet controller (Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's
 * Manual, 317453). Frames go out when the guest moves the tail of its ring, and come in when the wire brings them. Left out: flow
 * control (the wire never pauses), wake-up and management, diagnostics of the packet buffer, and the delay timers of
 * descriptors, which count as zero: interrupts are thinned by ITR alone. Memory cycles need the bus master bit.
 */
import { array, bool, deadline, nested, pod, u32 } from '@tomei/kit';
import { defineDevice, typed, type PciFunction, type PciSlot, type Width } from '../../machine/device.ts';
import { COMMAND_MASTER, PCI_COMMAND } from '../../machine/pci-config.ts';
import { nicBackend } from '../nic-backend.ts';
import { eepromState, eepromWords, readPins, writePins } from './eeprom.ts';
import { interruptState, isAsserted, moderate, release } from './interrupts.ts';
import { MAX_PACKET } from './packet.ts';
import { isLoopedBack, isPoweredDown, NEGOTIATION_NS, PHY_ADDRESS, phyState, readPhy, writePhy } from './phy.ts';
import { BUFFER_BYTES, deliver, entryOf, FRAME_OVERHEAD, isTooLong, judge, receiveState, used } from './receive.ts';
import * as R from './registers.ts';
import * as counters from './statistics.ts';
import { padded, transmit, transmitState, type Ring } from './transmit.ts';

export interface E1000Config {
  /** The address in the EEPROM, six bytes. */
  readonly mac: Uint8Array;
  /** A boot ROM (iPXE's for 8086:100E) in the expansion ROM. */
  readonly rom?: Uint8Array;
}

const VENDOR_ID = 0x8086;
const DEVICE_ID = 0x100e;
const SUBSYSTEM_VENDOR_ID = 0x1af4;
const SUBSYSTEM_ID = 0x1100;
const MEMORY_BYTES = 0x2_0000;
const IO_BYTES = 64;
/** Registers of the I/O window (13.3.1). */
const IOADDR = 0;
const IODATA = 4;
/** Where work goes on that was too much for one doorbell. */
const PAUSE_NS = 100_000;
const CHECK_BYTES = 4;

const PLAIN_ADDRESSES = [...R.PLAIN.keys()];
const PLAIN_INDEX = new Map(PLAIN_ADDRESSES.map((address, index) => [address, index]));

const e1000State = pod({
  plain: array(PLAIN_ADDRESSES.length, (index) => u32(R.PLAIN.get(PLAIN_ADDRESSES[index]!)![0])),
  addresses: array(R.RECEIVE_ADDRESS_WORDS, () => u32()),
  multicast: array(R.MTA_WORDS, () => u32()),
  vlans: array(R.VFTA_WORDS, () => u32()),
  /** Receive address 0 was loaded from the EEPROM since the reset. */
  loaded: bool(),
  eerd: u32(),
  mdic: u32(),
  ioAddress: u32(),
  eeprom: nested(eepromState),
  phy: nested(phyState),
  statistics: nested(counters.statisticsState),
  interrupts: nested(interruptState),
  transmit: nested(transmitState),
  receive: nested(receiveState),
  /** When auto-negotiation ends; null when it has. */
  linkAt: deadline(),
  /** When transmission goes on. */
  resumeAt: deadline(),
});

export const e1000 = defineDevice({
  kind: 'e1000',
  version: 1,
  summary: 'Intel 82540EM gigabit Ethernet controller',
  config: typed<E1000Config>({ mac: new Uint8Array([0x00, 0x0c, 0x29, 0, 0, 1]) }),
  state: e1000State,
  attach({ config, state, host }) {
    const wire = host.backend(nicBackend);
    const eeprom = eepromWords({
      mac: config.mac,
      vendorId: VENDOR_ID,
      deviceId: DEVICE_ID,
      subsystemVendorId: SUBSYSTEM_VENDOR_ID,
      subsystemId: SUBSYSTEM_ID,
    });
    let slot: PciSlot | undefined;
    const now = (): number => host.clock.now();
    const get = (address: number): number => state.plain[PLAIN_INDEX.get(address)!]!;
    const set = (address: number, value: number): void => {
      state.plain[PLAIN_INDEX.get(address)!] = value >>> 0;
    };
    const isMaster = (): boolean => ((slot?.config(PCI_COMMAND, 2) ?? 0) & COMMAND_MASTER) !== 0;
    const linkUp = (): boolean => wire?.linkUp === true && state.linkAt === null && !isPoweredDown(state.phy);
    const ring = (low: number, high: number, length: number, head: number, tail: number): Ring => ({
      base: get(high) * 2 ** 32 + get(low),
      count: get(length) / R.DESCRIPTOR_BYTES,
      head: get(head),
      tail: get(tail),
    });

    const alarms = {
      throttle: host.alarm(() => {
        release(state.interrupts, now(), interval());
        settle();
      }),
      link: host.alarm(() => {
        state.linkAt = null;
        if (linkUp()) raise(R.CAUSE_LSC);
        else settle();
      }),
      resume: host.alarm(() => {
        state.resumeAt = null;
        send();
      }),
    };
    const settle = (): void => {
      slot?.interrupt(isAsserted(state.interrupts));
      const times = [state.interrupts.due, state.linkAt, state.resumeAt];
      for (const [i, alarm] of [alarms.throttle, alarms.link, alarms.resume].entries()) {
        const at = times[i]!;
        if (at === null) alarm.cancel();
        else alarm.set(at);
      }
    };

    const interval = (): number => get(R.ITR) * R.ITR_UNIT_NS;
    /** Changes causes or mask and drives the line. */
    const change = (work: () => void): void => {
      const was = isAsserted(state.interrupts);
      work();
      moderate(state.interrupts, was, now(), interval());
      settle();
    };
    const raise = (causes: number): void =>
      change(() => {
        state.interrupts.cause = (state.interrupts.cause | (causes & R.CAUSES)) >>> 0;
      });

    const receiveRegisters = () => ({
      control: get(R.RCTL),
      checksums: get(R.RXCSUM),
      ethertype: get(R.VET),
      stripTags: (get(R.CTRL) & R.CTRL_VME) !== 0,
      addresses: state.addresses,
      multicast: state.multicast,
      vlans: state.vlans,
    });
    const receiveRing = (): Ring => ring(R.RDBAL, R.RDBAH, R.RDLEN, R.RDH, R.RDT);
    /** Moves frames from the packet buffer into the guest's buffers, as far as those go. */
    const drain = (): void => {
      const { buffer } = state.receive;
      let causes = 0;
      let done = 0;
      while (done < buffer.length && (get(R.RCTL) & R.RCTL_EN) !== 0 && isMaster()) {
        const rings = receiveRing();
        if (rings.count === 0) break;
        const entry = buffer[done]!;
        const how = deliver(entry, receiveRegisters(), rings, host.memory, (head) => set(R.RDH, head));
        if (how === 'no-descriptors') break;
        done++;
        if (how === 'never-fits') {
          counters.count(state.statistics, counters.MPC);
          causes |= R.CAUSE_RXO;
          continue;
        }
        counters.countReceived(state.statistics, entry.subarray(1), entry.length - 1 + CHECK_BYTES);
        causes |= R.CAUSE_RXT0 | lowDescriptors();
      }
      if (done > 0) state.receive.buffer = buffer.slice(done);
      if (causes !== 0) raise(causes);
    };
    /** RXDMT0: no more than a half, a quarter or an eighth of the ring is left (RCTL.RDMTS). */
    const lowDescriptors = (): number => {
      const { count, head, tail } = receiveRing();
      const left = (tail - head + count) % count;
      return left <= count >> (((get(R.RCTL) >> 8) & 3) + 1) ? R.CAUSE_RXDMT0 : 0;
    };
    /** A frame arrives. False: there is no room for it. */
    const receive = (given: Uint8Array): boolean => {
      if ((get(R.RCTL) & R.RCTL_EN) === 0 || given.length < 14) return true;
      const frame = padded(given);
      const verdict = judge(frame, receiveRegisters());
      if (verdict === 'refused') return true;
      if (isTooLong(frame, get(R.RCTL)) || frame.length > MAX_PACKET) {
        counters.count(state.statistics, counters.ROC);
        return true;
      }
      const room = Math.min((get(R.PBA) & 0xffff) << 10, BUFFER_BYTES) - used(state.receive);
      if (frame.length + 1 + FRAME_OVERHEAD > room) {
        counters.count(state.statistics, counters.MPC);
        raise(R.CAUSE_RXO);
        return false;
      }
      state.receive.buffer.push(entryOf(frame, verdict));
      drain();
      if (state.receive.buffer.length > 0) counters.count(state.statistics, counters.RNBC);
      return true;
    };

    const out = (frame: Uint8Array): void => {
      counters.countSent(state.statistics, frame, frame.length + CHECK_BYTES);
      const loopback = (get(R.RCTL) & R.RCTL_LOOPBACK) !== 0 || isLoopedBack(state.phy);
      if (loopback) receive(frame);
      else if (linkUp()) wire?.send(frame);
    };
    const send = (): void => {
      if ((get(R.TCTL) & R.TCTL_EN) === 0 || !isMaster()) return;
      const { reported, empty } = transmit(state.transmit, {
        memory: host.memory,
        ring: () => ring(R.TDBAL, R.TDBAH, R.TDLEN, R.TDH, R.TDT),
        setHead: (head) => set(R.TDH, head),
        vlan: () => ({ ethertype: get(R.VET), on: (get(R.CTRL) & R.CTRL_VME) !== 0 }),
        padded: () => (get(R.TCTL) & R.TCTL_PSP) !== 0,
        send: out,
        segmentedContext: () => counters.count(state.statistics, counters.TSCTC),
      });
      state.resumeAt = empty ? null : now() + PAUSE_NS;
      raise((reported ? R.CAUSE_TXDW : 0) | (empty ? R.CAUSE_TXQE : 0));
    };

    const negotiate = (): void => {
      const was = linkUp();
      state.phy.wasDown = true;
      state.linkAt = now() + NEGOTIATION_NS;
      if (was) raise(R.CAUSE_LSC);
      else settle();
    };
    const loadAddress = (): void => {
      state.addresses[0] = (eeprom[0]! | (eeprom[1]! << 16)) >>> 0;
      state.addresses[1] = (eeprom[2]! | R.RAH_VALID) >>> 0;
      state.loaded = true;
    };
    /** CTRL.RST: everything but the transceiver and the EEPROM's pins starts afresh (13.4.1). */
    const reset = (): void => {
      const { phy, linkAt, ioAddress } = state;
      Object.assign(state, e1000State.initial(), { phy, linkAt, ioAddress });
      loadAddress();
      settle();
    };
    const manage = (value: number): void => {
      const register = (value >>> 16) & 31;
      const operation = (value >>> 26) & 3;
      const kept = value & 0x2fff_0000;
      if (((value >>> 21) & 31) !== PHY_ADDRESS || (operation !== R.MDIC_OP_READ && operation !== R.MDIC_OP_WRITE)) {
        state.mdic = (value | R.MDIC_READY | R.MDIC_ERROR) >>> 0;
      } else if (operation === R.MDIC_OP_READ) {
        state.mdic = (kept | R.MDIC_READY | readPhy(state.phy, register, linkUp())) >>> 0;
      } else {
        state.mdic = (kept | R.MDIC_READY | (value & 0xffff)) >>> 0;
        if (writePhy(state.phy, register, value & 0xffff)) negotiate();
      }
      if ((value & R.MDIC_INTERRUPT) !== 0) raise(R.CAUSE_MDAC);
    };
    const status = (): number =>
      R.STATUS_FULL_DUPLEX | (linkUp() ? R.STATUS_LINK_UP : 0) | R.STATUS_SPEED_1000 | R.STATUS_DETECTED_1000;

    const tableOf = (address: number): { words: number[]; at: number } | undefined => {
      const inside = (base: number, words: number[]) =>
        address >= base && address < base + 4 * words.length ? { words, at: (address - base) / 4 } : undefined;
      return (
        inside(R.MTA, state.multicast) ?? inside(R.RECEIVE_ADDRESSES, state.addresses) ?? inside(R.VFTA, state.vlans)
      );
    };
    const read = (address: number): number => {
      switch (address) {
        case R.CTRL_DUPLICATE:
          return get(R.CTRL);
        case R.STATUS:
          return status();
        case R.EECD:
          return readPins(state.eeprom);
        case R.EERD:
          return state.eerd;
        case R.MDIC:
          return state.mdic;
        case R.ICR: {
          const { cause } = state.interrupts;
          change(() => (state.interrupts.cause = 0));
          return cause;
        }
        case R.IMS:
          return state.interrupts.mask;
        default:
          break;
      }
      if (PLAIN_INDEX.has(address)) return get(address);
      if (address >= R.STATISTICS && address < R.STATISTICS_END) {
        return counters.readStatistic(state.statistics, (address - R.STATISTICS) / 4);
      }
      const table = tableOf(address);
      return table === undefined ? 0 : table.words[table.at]!;
    };
    const writeControl = (value: number): void => {
      if ((value & R.CTRL_RST) !== 0) return reset();
      set(R.CTRL, value & R.PLAIN.get(R.CTRL)![1]);
      if ((value & R.CTRL_PHY_RST) !== 0) {
        state.phy = phyState.initial();
        negotiate();
      }
    };
    const writePlain = (address: number, value: number): void => {
      set(address, value & R.PLAIN.get(address)![1]);
      if (address === R.RDT || address === R.RCTL) drain();
      if (address === R.TDT || address === R.TCTL) send();
    };
    const write = (address: number, value: number): void => {
      switch (address) {
        case R.CTRL:
        case R.CTRL_DUPLICATE:
          return writeControl(value);
        case R.EECD:
          return writePins(state.eeprom, value, eeprom);
        case R.EERD:
          if ((value & R.EERD_START) !== 0) {
            const word = (value >>> 8) & 0xff;
            state.eerd = (((eeprom[word] ?? 0xffff) << 16) | (word << 8) | R.EERD_DONE) >>> 0;
          }
          return;
        case R.MDIC:
          return manage(value);
        case R.ICR:
          return change(() => (state.interrupts.cause &= ~value));
        case R.ICS:
          return raise(value);
        case R.IMS:
          return change(() => (state.interrupts.mask = (state.interrupts.mask | (value & R.CAUSES)) >>> 0));
        case R.IMC:
          return change(() => (state.interrupts.mask &= ~value));
        default:
          break;
      }
      if (PLAIN_INDEX.has(address)) return writePlain(address, value);
      const table = tableOf(address);
      if (table !== undefined) table.words[table.at] = value;
    };
    const part = (value: number, offset: number, width: Width): number =>
      Math.floor(value / 2 ** (8 * (offset & 3))) % 2 ** (8 * width);

    wire?.onReceive((frame) => (linkUp() ? receive(frame) : true));
    wire?.onLink?.(() => {
      if (!linkUp()) state.phy.wasDown = true;
      raise(R.CAUSE_LSC);
    });

    return {
      plugged: (given: PciSlot) => void (slot = given),
      pci: {
        vendorId: VENDOR_ID,
        deviceId: DEVICE_ID,
        subsystemVendorId: SUBSYSTEM_VENDOR_ID,
        subsystemId: SUBSYSTEM_ID,
        classCode: 0x020000,
        revision: 3,
        interruptPin: 1,
        ...(config.rom === undefined ? {} : { rom: { bytes: config.rom } }),
        bars: [
          {
            space: 'memory',
            size: MEMORY_BYTES,
            // Registers are 32 bits wide; narrower writes are not defined (13.2) and are lost.
            read: (offset, width) => part(read(offset & ~3), offset, width),
            write(offset, width, value) {
              if (width === 4) write(offset, value);
            },
          },
          {
            space: 'io',
            size: IO_BYTES,
            read(offset, width) {
              if (offset >> 2 === IOADDR) return part(state.ioAddress, offset, width);
              return offset >> 2 === IODATA >> 2 ? part(read(state.ioAddress & (MEMORY_BYTES - 4)), offset, width) : 0;
            },
            write(offset, width, value) {
              if (width !== 4) return;
              if (offset === IOADDR) state.ioAddress = value;
              else if (offset === IODATA) write(state.ioAddress & (MEMORY_BYTES - 4), value);
            },
          },
        ],
      } satisfies PciFunction as PciFunction,
      settle() {
        if (!state.loaded) loadAddress();
        settle();
      },
    };
  },
});
