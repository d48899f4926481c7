/** `.vmdk` disks as block devices. */
export { SECTOR_BYTES, type BlockDevice } from './block-device.ts';
export { openRaw, openVmdk, type OpenOptions, type VmdkDisk } from './disk.ts';
export { createVmdk, importRaw, VMDK_TYPES, type CreateOptions, type ImportOptions, type VmdkType } from './create.ts';
export { infoVmdk, type ExtentInfo, type VmdkInfo } from './info.ts';
export { checkVmdk, type VmdkCheck, type VmdkProblem } from './check.ts';
export { lockHolder, lockPath, type LockHolder } from './lock.ts';
