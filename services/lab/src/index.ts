/** All services in one process: what `tomei lab` runs. */
export { LAB_HOST, LAB_PORT, startLab, type Lab, type LabOptions } from './lab.ts';
export type { LabGuest } from './api.ts';
export { isLoopback } from '@tomei/service';
