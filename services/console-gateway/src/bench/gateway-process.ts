/**
 * A gateway in a process of its own, for benchmarks: bus and store in memory, and one guest, whose console is at TARGET. Prints one
 * line of JSON: where it is.
 */
import { messages } from '@tomei/contracts';
import { GuestRecords, MemoryBus, MemoryStore, Metrics, quietLog } from '@tomei/service';
import { startGateway } from '../gateway.ts';
import { startGatewayServer } from '../server.ts';
import { BENCH_GUEST } from './settings.ts';

const target = process.argv[2];
if (target === undefined) throw new Error('usage: gateway-process.ts TARGET');

const store = new MemoryStore();
const metrics = new Metrics('console-gateway').collectProcess();
const { id, token } = BENCH_GUEST;
await new GuestRecords(store).create(
  messages.Guest.make({
    id,
    name: id,
    createdMs: 1,
    spec: { vmxPath: 'bench/bench.vmx' },
    desired: { power: 'POWER_ON', run: 1 },
    observed: { phase: 'GUEST_PHASE_RUNNING', run: 1, console: { endpoint: { target }, token } },
  }),
);
const gateway = await startGateway({ log: quietLog(), metrics, bus: new MemoryBus(), store });
const server = await startGatewayServer(gateway, {
  host: '127.0.0.1',
  port: 0,
  controllerUrl: 'http://127.0.0.1:1',
  metrics: [metrics],
});
process.stdout.write(`${JSON.stringify({ url: server.url })}\n`);
process.on('SIGTERM', () => void server.close().then(() => process.exit(0)));
