/**
 * Debian packages of another architecture without touching the machine's own package lists: apt with a private state folder,
 * the machine's sources and the machine's keyrings (apt.conf(5): APT_CONFIG, Dir::State, APT::Architectures).
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TomeiError } from '@tomei/kit';
import { runTool, type ToolOptions, type ToolResult } from '../host/tool.ts';

/** A package file as the signed lists describe it. */
interface PackageFile {
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** One line of `apt-get download --print-uris`: 'URI' file-name size SHA256:digest. */
const URI_LINE = /^'[^']+' (\S+) (\d+) SHA256:([0-9a-f]{64})$/;
/** Progress as apt reports it: dlstatus:<number>:<percent>:<text>. */
const STATUS_LINE = /^dlstatus:\d+:([\d.]+):/;

export class PrivateApt {
  private readonly folder: string;
  private readonly architecture: string;

  /** `folder` keeps the package lists (`apt/`) and the package files (`packages/`) between builds. */
  constructor(folder: string, architecture: string) {
    this.folder = folder;
    this.architecture = architecture;
    for (const part of ['apt/lists/partial', 'apt/cache/archives/partial', 'packages']) {
      mkdirSync(join(folder, part), { recursive: true });
    }
    const state = join(folder, 'apt');
    writeFileSync(join(state, 'status'), '');
    const settings = [
      `APT::Architecture "${architecture}";`,
      `APT::Architectures { "${architecture}"; };`,
      `Dir::State "${state}";`,
      `Dir::State::status "${join(state, 'status')}";`,
      `Dir::Cache "${join(state, 'cache')}";`,
      // The user that apt downloads as cannot reach a folder in somebody's home.
      'APT::Sandbox::User "root";',
    ];
    writeFileSync(join(state, 'apt.conf'), `${settings.join('\n')}\n`);
  }

  /** Fetches the package lists. Passes on to `say` what went wrong, if anything: older or partial lists may do. */
  async update(say: (line: string) => void): Promise<void> {
    const { code, stderr } = await this.apt('apt-get', ['update', '-q'], { accept: [0, 100] });
    const trouble = stderr.trim().split('\n')[0] ?? '';
    if (code !== 0) say(`Some package lists could not be fetched, trying with the others: ${trouble}`);
  }

  /** Lines of a sources.list(5): those of the machine's sources for Debian's `suite` that there are lists of. */
  async sources(suite: string): Promise<string[]> {
    const format = '$(ORIGIN) $(CODENAME) $(REPO_URI) $(RELEASE) $(COMPONENT)';
    const { stdout } = await this.apt('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], {});
    const lines = stdout.split('\n').flatMap((line) => {
      const [origin, codename, uri, release, component] = line.split(' ');
      // The code name of updates and security updates begins with that of the release.
      const isWanted = origin === 'Debian' && (codename === suite || codename?.startsWith(`${suite}-`) === true);
      return isWanted ? [`deb ${uri} ${release} ${component}`] : [];
    });
    if (lines.length === 0) throw this.unknown(`suite ${suite}`);
    return lines;
  }

  /** The first package that `name` depends on: what a metapackage such as linux-image-686 stands for today. */
  async dependencyOf(name: string): Promise<string> {
    const { stdout } = await this.apt('apt-cache', ['depends', '--important', name], { accept: [0, 100] });
    const found = /^ {2}Depends: (\S+)$/m.exec(stdout)?.[1];
    if (found === undefined) throw this.unknown(`package ${name}`);
    return found;
  }

  /** Paths of the package files, fetched unless the cache has them whole. `progress` is called with 0..1. */
  async download(names: readonly string[], progress: (fraction: number) => void): Promise<string[]> {
    const folder = join(this.folder, 'packages');
    const files = await this.describe(names);
    const absent = new Set<string>();
    for (const [name, file] of files) if (!(await isWhole(join(folder, file.fileName), file))) absent.add(name);
    if (absent.size > 0) {
      await this.apt('apt-get', ['download', '-q', '-o', 'APT::Status-Fd=1', ...absent], {
        cwd: folder,
        onLine: (line) => {
          const percent = STATUS_LINE.exec(line)?.[1];
          if (percent !== undefined) progress(Number(percent) / 100);
        },
      });
    }
    progress(1);
    return [...files.values()].map((file) => join(folder, file.fileName));
  }

  private async describe(names: readonly string[]): Promise<Map<string, PackageFile>> {
    const files = new Map<string, PackageFile>();
    for (const name of names) {
      const { stdout } = await this.apt('apt-get', ['download', '--print-uris', name], { accept: [0, 100] });
      const match = stdout
        .split('\n')
        .map((line) => URI_LINE.exec(line))
        .find((found) => found !== null);
      if (match === undefined) throw this.unknown(`package ${name}`);
      files.set(name, { fileName: match[1]!, sizeBytes: Number(match[2]), sha256: match[3]! });
    }
    return files;
  }

  private unknown(what: string): TomeiError {
    const where = `architecture ${this.architecture}`;
    return new TomeiError(
      'package.unknown',
      `apt knows no ${what} of ${where}: this needs the package sources of Debian 12, and a network the first time`,
      { data: { what }, retryable: true },
    );
  }

  private apt(command: string, args: readonly string[], options: ToolOptions): Promise<ToolResult> {
    return runTool(command, args, { ...options, env: { APT_CONFIG: join(this.folder, 'apt', 'apt.conf') } });
  }
}

async function isWhole(path: string, file: PackageFile): Promise<boolean> {
  if (!existsSync(path) || statSync(path).size !== file.sizeBytes) return false;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex') === file.sha256;
}
