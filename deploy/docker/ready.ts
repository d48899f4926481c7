/** Asks the service in this container whether it is ready; what it waits for ends up in the container's health log. */
const port = process.env['TOMEI_OPS_PORT'] ?? '9464';
const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2000) });
process.stdout.write(await answer.text());
process.exitCode = answer.ok ? 0 : 1;
