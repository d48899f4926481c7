/** What can be set for a runner, besides what every service has. */
import { hostname } from 'node:os';
import { runnerId } from '@tomei/contracts';
import { messageOf } from '@tomei/kit';
import { defineConfig, field, settings, type ConfigOf } from '@tomei/service';
import { z } from 'zod';
import { defaultMemoryMib, defaultRunnerId, defaultVcpus } from './host.ts';
import type { RunnerOptions } from './runner.ts';

const id = z.string().superRefine((text, context) => {
  try {
    runnerId(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});

/** What is not set is taken from the host: see `onThisHost`. */
export const config = defineConfig({
  id: field('TOMEI_RUNNER_ID', id, {
    doc: "The runner's id, unique in the cluster; from the name of the host unless it is set.",
    default: undefined,
  }),
  memoryMib: field('TOMEI_MEMORY_MIB', settings.whole({ min: 1 }), {
    doc: "Memory for guests, in MiB; the host's or the container's without an eighth, at least 256, unless it is set.",
    default: undefined,
  }),
  vcpus: field('TOMEI_VCPUS', settings.whole({ min: 1 }), {
    doc: "Virtual processors for guests; four to each of the host's unless it is set, since guests wait most of the time.",
    default: undefined,
  }),
  consoleBind: field('TOMEI_CONSOLE_BIND', settings.address(), {
    doc: 'Where guests serve their consoles: host:0, or unix:/folder in which each gets a socket.',
    default: '0.0.0.0:0',
  }),
  consoleAdvertise: field('TOMEI_CONSOLE_ADVERTISE', settings.text(), {
    doc: 'The name or address under which the console gateway reaches this host; its host name unless it is set.',
    default: undefined,
  }),
  heartbeatMs: field('TOMEI_HEARTBEAT_MS', settings.whole({ min: 50, max: 60_000 }), {
    doc: 'Milliseconds between two heartbeats; a controller takes a runner that misses several for lost.',
    default: 1_000,
  }),
  stopMs: field('TOMEI_STOP_MS', settings.whole({ min: 100, max: 600_000 }), {
    doc: 'Milliseconds that a guest may take to close its disks before it is ended by force.',
    default: 20_000,
  }),
});

/** The options of a runner on this host. */
export function onThisHost(set: ConfigOf<typeof config.fields>): RunnerOptions {
  return {
    ...set,
    id: set.id ?? defaultRunnerId(),
    memoryMib: set.memoryMib ?? defaultMemoryMib(),
    vcpus: set.vcpus ?? defaultVcpus(),
    consoleAdvertise: set.consoleAdvertise ?? hostname(),
  };
}
