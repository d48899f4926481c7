/**
 * Registers of the 82540EM by name (Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, 317453,
 * chapter 13), with their bits.
 */

export const CTRL = 0x0000;
/** Another address of CTRL. */
export const CTRL_DUPLICATE = 0x0004;
export const STATUS = 0x0008;
export const EECD = 0x0010;
export const EERD = 0x0014;
export const MDIC = 0x0020;
export const VET = 0x0038;
export const ICR = 0x00c0;
export const ITR = 0x00c4;
export const ICS = 0x00c8;
export const IMS = 0x00d0;
export const IMC = 0x00d8;
export const RCTL = 0x0100;
export const TCTL = 0x0400;
export const PBA = 0x1000;
export const RDBAL = 0x2800;
export const RDBAH = 0x2804;
export const RDLEN = 0x2808;
export const RDH = 0x2810;
export const RDT = 0x2818;
export const TDBAL = 0x3800;
export const TDBAH = 0x3804;
export const TDLEN = 0x3808;
export const TDH = 0x3810;
export const TDT = 0x3818;
export const STATISTICS = 0x4000;
export const STATISTICS_END = 0x4100;
export const RXCSUM = 0x5000;
export const MTA = 0x5200;
export const MTA_WORDS = 128;
export const RECEIVE_ADDRESSES = 0x5400;
export const RECEIVE_ADDRESS_WORDS = 32;
export const VFTA = 0x5600;
export const VFTA_WORDS = 128;

/** CTRL (13.4.1). */
export const CTRL_RST = 1 << 26;
export const CTRL_VME = 1 << 30;
export const CTRL_PHY_RST = 0x8000_0000;

/** STATUS (13.4.2): full duplex at 1000 Mb/s, as auto-negotiation finds it. */
export const STATUS_FULL_DUPLEX = 1 << 0;
export const STATUS_LINK_UP = 1 << 1;
export const STATUS_SPEED_1000 = 1 << 7;
export const STATUS_DETECTED_1000 = 1 << 9;

/** EERD (13.4.4). */
export const EERD_START = 1 << 0;
export const EERD_DONE = 1 << 4;

/** MDIC (13.4.6). */
export const MDIC_OP_WRITE = 1;
export const MDIC_OP_READ = 2;
export const MDIC_READY = 1 << 28;
export const MDIC_INTERRUPT = 1 << 29;
export const MDIC_ERROR = 1 << 30;

/** Interrupt causes (13.4.17). */
export const CAUSE_TXDW = 1 << 0;
export const CAUSE_TXQE = 1 << 1;
export const CAUSE_LSC = 1 << 2;
export const CAUSE_RXDMT0 = 1 << 4;
export const CAUSE_RXO = 1 << 6;
export const CAUSE_RXT0 = 1 << 7;
export const CAUSE_MDAC = 1 << 9;
export const CAUSES = 0x0001_f7df;
/** ITR counts 256 ns. */
export const ITR_UNIT_NS = 256;
export const ITR_MASK = 0xffff;

/** RCTL (13.4.22). */
export const RCTL_EN = 1 << 1;
export const RCTL_UPE = 1 << 3;
export const RCTL_MPE = 1 << 4;
export const RCTL_LPE = 1 << 5;
export const RCTL_LOOPBACK = 1 << 6;
export const RCTL_BAM = 1 << 15;
export const RCTL_VFE = 1 << 18;
export const RCTL_CFIEN = 1 << 19;
export const RCTL_CFI = 1 << 20;
export const RCTL_BSEX = 1 << 25;
export const RCTL_SECRC = 1 << 26;
export const RCTL_WRITABLE = 0x06df_fffe;

/** TCTL (13.4.33). */
export const TCTL_EN = 1 << 1;
export const TCTL_PSP = 1 << 3;

/** RXCSUM (13.4.31). */
export const RXCSUM_IPOFL = 1 << 8;
export const RXCSUM_TUOFL = 1 << 9;

/** Address valid, in the upper word of a receive address. */
export const RAH_VALID = 0x8000_0000;
export const RAH_SELECT = 0x0003_0000;

/** Descriptor rings are in units of eight descriptors of 16 bytes. */
export const DESCRIPTOR_BYTES = 16;
export const RING_BASE_MASK = 0xffff_fff0;
export const RING_LENGTH_MASK = 0x000f_ff80;

/** Registers that are only stored: by address the value after reset and which bits can be written. */
export const PLAIN: ReadonlyMap<number, readonly [reset: number, writable: number]> = new Map([
  [CTRL, [0x0000_0201, 0x7bff_ffff]],
  // CTRL_EXT, FLA, FCAL, FCAH, FCT.
  [0x0018, [0, 0xffff_ffff]],
  [0x001c, [0, 0]],
  [0x0028, [0x00c2_8001, 0xffff_ffff]],
  [0x002c, [0x0000_0100, 0xffff]],
  [0x0030, [0x0000_8808, 0xffff]],
  [VET, [0x8100, 0xffff]],
  [ITR, [0, ITR_MASK]],
  [RCTL, [0, RCTL_WRITABLE]],
  // FCTTV, TXCW.
  [0x0170, [0, 0xffff]],
  [0x0178, [0, 0xc000_ffff]],
  [TCTL, [0, 0x03ff_fffa]],
  // TIPG, AIFS, LEDCTL.
  [0x0410, [0x0060_200a, 0x3fff_ffff]],
  [0x0458, [0, 0xffff]],
  [0x0e00, [0x0706_8302, 0xffff_ffff]],
  [PBA, [0x0010_0030, 0xffff]],
  // FCRTL, FCRTH.
  [0x2160, [0, 0x8000_fff8]],
  [0x2168, [0, 0xfff8]],
  [RDBAL, [0, RING_BASE_MASK]],
  [RDBAH, [0, 0xffff_ffff]],
  [RDLEN, [0, RING_LENGTH_MASK]],
  [RDH, [0, 0xffff]],
  [RDT, [0, 0xffff]],
  // RDTR, RXDCTL, RADV, RSRPD.
  [0x2820, [0, 0xffff]],
  [0x2828, [0x0101_0000, 0x013f_3f3f]],
  [0x282c, [0, 0xffff]],
  [0x2c00, [0, 0x0fff]],
  // TXDMAC.
  [0x3000, [0, 1]],
  [TDBAL, [0, RING_BASE_MASK]],
  [TDBAH, [0, 0xffff_ffff]],
  [TDLEN, [0, RING_LENGTH_MASK]],
  [TDH, [0, 0xffff]],
  [TDT, [0, 0xffff]],
  // TIDV, TXDCTL, TADV, TSPMT.
  [0x3820, [0, 0xffff]],
  [0x3828, [0, 0xff3f_3f3f]],
  [0x382c, [0, 0xffff]],
  [0x3830, [0x0100_0400, 0xffff_ffff]],
  [RXCSUM, [0, 0x07ff]],
  // WUC, WUFC, WUS, MANC, IPAV.
  [0x5800, [0, 0x0f]],
  [0x5808, [0, 0x000f_00ff]],
  [0x5810, [0, 0]],
  [0x5820, [0, 0xffff_ffff]],
  [0x5838, [0, 0x1_000f]],
]);
