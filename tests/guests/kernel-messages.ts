/** Which of a Linux kernel's messages two PCs must agree on: all, but for what names the machine, its speed or the day. */
import { KERNEL_LINE } from './tiny-guest.ts';

/** Messages that differ between Tomei and QEMU, with the reason. Everything else has to be the same, in the same order. */
const MAY_DIFFER: readonly (readonly [reason: string, pattern: RegExp])[] = [
  ['the memory map is the board\'s: QEMU keeps some for firmware tables', /^BIOS-e820:|last_pfn|LOWMEM|low ram:|\[mem 0x|^ {2}Normal|^Memory:|^Built 1 zonelists|^Initmem|RAMDISK|pages in unavailable ranges/],
  ['the tables of firmware', /DMI|SMBIOS|MP-table|^MPTABLE|^PCI: PCI BIOS|PnPBIOS|PnP BIOS|^IOAPIC\[0\]/],
  ['what the ACPI tables describe: no slots to plug into, no sleep but soft-off, other routes', /^ACPI: (RSDP|RSDT|FACP|DSDT|FACS|APIC|HPET|WAET) |^ACPI: PM: \(supports|^ACPI: Enabled \d+ GPEs|^acpi resource window|^acpiphp:|Interrupt link|_SB_\.LNK|^pnp: PnP ACPI: found|^system 00:|^00:0[0-9]: ttyS|^rtc_cmos 00:/],
  ['the processor\'s name, features, and the bugs that the kernel concludes from them', /^smpboot: CPU0|NX \(Execute Disable\)|x86\/PAT|^Disabled$|MTRR|Vulnerable|Mitigation|^Performance Events|perfctr|^mce:|^microcode:|x86\/fpu|^MDS|^Spec|^L1TF|^MMIO Stale|using mwait/],
  ['speed', /tsc|TSC|BogoMIPS|^clocksource:|sched_clock|Calibrating|raid6|xor:|using function|clock|^on the kernel command line$|APIC timer disabled|hrtimer: interrupt took|perf: interrupt took|hogged CPU|^APIC calibration not consistent|^APIC delta adjusted|^PM-Timer running at invalid rate|^hpet: Lost \d+ RTC interrupts/],
  ['what drives there are and how they are called: QEMU has a DVD drive too', /^ata\d\.00: (ATA-|ATAPI:|\d+ sectors)|^ata\d: found unknown device|^scsi \d:0:0:0: (Direct-Access|CD-ROM) /],
  ['the day', /rtc_cmos .*setting system clock|^audit: type=2000/],
  ['devices that the board has or has not', /^pci 0000:00:0[0-9]|^pci_bus|virtio-pci|PCI->APIC|vgaarb: VGA device added/],
  ['work that the kernel does beside its start, when it gets to it', /^sd \d|Freeing initrd memory|random: crng init|^input:|^platform rtc_cmos|^Trying to unpack rootfs/],
];

/** The messages that must agree, in order, without times and addresses. */
export function comparableMessages(console: string): string[] {
  const comparable: string[] = [];
  for (const raw of console.replaceAll('\r', '').split('\n')) {
    if (!KERNEL_LINE.test(raw)) continue;
    const line = raw.replace(KERNEL_LINE, '').trimEnd();
    if (MAY_DIFFER.some(([, pattern]) => pattern.test(line))) continue;
    comparable.push(line.replace(/0x[0-9a-f]+/g, '0x…').replace(/\[[0-9]+\]/g, '[…]'));
  }
  return comparable;
}
