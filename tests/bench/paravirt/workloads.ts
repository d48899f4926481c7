/** What is measured, in its order. The programs are in `guest/` here and beside it; init.sh says how each is started. */
export interface PairWorkload {
  readonly name: string;
  /** What binds it. */
  readonly kind: 'user' | 'kernel' | 'memory' | 'disk' | 'net' | 'idle' | 'mixed';
  readonly what: string;
}

const of = (kind: PairWorkload['kind'], all: Readonly<Record<string, string>>): PairWorkload[] =>
  Object.entries(all).map(([name, what]) => ({ name, kind, what }));

export const WORKLOADS: readonly PairWorkload[] = [
  ...of('user', {
    sieve: 'prime numbers',
    sort: 'sorting integers',
    sha: 'SHA-256',
    x87: 'floating point of the x87 unit',
  }),
  ...of('kernel', {
    syscall: 'system calls that do nothing',
    fork: 'processes that end at once',
    exec: 'programs that end at once',
    pipe: 'a byte back and forth between two processes',
  }),
  ...of('memory', {
    fault: 'pages that come into being when they are touched',
    mprotect: 'rights of one page after the other',
    switch: 'two processes in turn, a megabyte touched by each',
  }),
  ...of('disk', {
    seqwrite: 'a file written in order, and flushed',
    seqread: 'a file read in order, out of no cache',
    randread: '4 KiB at random places of a file, out of no cache',
    syncwrite: '4 KiB at random places of a file, each on the disk before the next',
    rawwrite: 'a disk written in order (O_DIRECT)',
    rawread: 'a disk read in order (O_DIRECT)',
    rawrand: '4 KiB at random places of a disk (O_DIRECT)',
    rawsync: '4 KiB at random places of a disk, each on the disk before the next (O_DIRECT)',
  }),
  ...of('net', {
    tcpsend: '48 MiB over TCP to another guest',
    tcprecv: '48 MiB over TCP from another guest',
    tcpping: 'a byte over TCP to another guest and back',
  }),
  ...of('idle', { idle: 'nothing, for 20 seconds' }),
  ...of('mixed', {
    mixed: 'files compressed, flushed, read back and sorted; processes; TCP both ways; writes that wait for the disk',
  }),
];
/** The one that targets are of. */
export const MIXED = 'mixed';
