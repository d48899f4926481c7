/** IDE: the controller, and what can be plugged into it. */
export { piixIde, type PiixIdeConfig } from './piix-ide.ts';
export { ideDrives, type IdeDrive, type IdeDrives } from './drives.ts';
export { defaultGeometry, type Geometry } from './geometry.ts';
