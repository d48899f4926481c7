/** Installs the Debian packages that building guests and running the tests need. Does nothing when they are there. */
import { DEBIAN_PACKAGES, ensurePackages } from '../packages/cli/src/host/debian-packages.ts';
import { exitCodeOf, reportError } from '../packages/cli/src/failure.ts';

try {
  const packages = [...DEBIAN_PACKAGES.guestBuild, ...DEBIAN_PACKAGES.installation, ...DEBIAN_PACKAGES.tests];
  await ensurePackages(packages, 'running the tests', (line) => console.log(line));
} catch (error) {
  reportError(error, { debug: process.argv.includes('--debug') }, process.stderr);
  process.exitCode = exitCodeOf(error);
}
