/** `.vmx` files: the text, and the guest that it describes. */
export {
  createVmx,
  findVmx,
  formatVmx,
  getVmx,
  parseVmx,
  setVmx,
  VMX_MAX_BYTES,
  vmxKey,
  type VmxEntry,
  type VmxFile,
} from './dictionary.ts';
export {
  MEMORY_DEFAULT_MIB,
  MEMORY_MAX_MIB,
  MEMORY_MIN_MIB,
  readGuestConfig,
  type FileReference,
  type GuestConfig,
  type KernelConfig,
} from './guest-config.ts';
export { type CpuidConfig } from './cpuid.ts';
export { DISK_MODES, type DiskBus, type DiskConfig, type DiskMode } from './disks.ts';
export { BOOT_DEVICES, type BootDevice } from './firmware.ts';
export { FLOPPY_TYPES, type FloppyConfig } from './floppies.ts';
export { NETWORK_CARDS, type NetworkConfig, type NetworkDevice } from './ethernet.ts';
export { VNC_DEFAULT_PORT, type VncConfig } from './remote-display.ts';
export { SERIAL_PORTS, SERIAL_TYPES, type SerialConfig, type SerialType } from './serial.ts';
export { refuseSharedFolders, type ShareConfig } from './shared-folders.ts';
export { type ToolsConfig } from './tools-keys.ts';
export { ENGINES, PARAVIRT_MODES, TOMEI_KEYS, type EngineKind, type ParavirtMode } from './tomei-keys.ts';
export { type PortConfig, type VirtioConfig, type VsockConfig } from './virtio-keys.ts';
export { checkVmx, loadVmx, type LoadedGuest, type VmxCheck } from './load.ts';
export { problemError, type VmxProblem } from './problem.ts';
