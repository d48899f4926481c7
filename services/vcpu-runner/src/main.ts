/** The service vcpu-runner. */
import { runService } from '@tomei/service';
import { config, onThisHost } from './config.ts';
import { startRunner } from './runner.ts';

await runService({
  name: 'vcpu-runner',
  config,
  uses: { bus: true, store: false },
  start: (parts, set) => startRunner(parts, onThisHost(set)),
});
