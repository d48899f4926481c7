/** The files of a pool and the blocks of its disks, served to guests on other hosts. */
export { startDiskService, LEASE_TTL_MS, type DiskService, type DiskServiceOptions } from './service.ts';
export { diskServiceConfig } from './config.ts';
