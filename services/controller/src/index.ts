/** The controller: owns what is wanted of guests, and makes it so. */
export { startController, type Controller, type ControllerOptions } from './controller.ts';
