/** What SSE3, SSSE3, SSE4.1, SSE4.2, POPCNT and MONITOR added to the opcode maps; lines as in `ia32-slots.ts`. */
export const SSE3_TO_SSE4 = `
addsubpd: 66 0F D0 /r
addsubps: F2 0F D0 /r
blendpd: 66 0F 3A 0D /r ib
blendps: 66 0F 3A 0C /r ib
blendvpd: 66 0F 38 15 /r
blendvps: 66 0F 38 14 /r
crc32: F2 0F 38 F0 /r, F2 0F 38 F1 /r
dppd: 66 0F 3A 41 /r ib
dpps: 66 0F 3A 40 /r ib
extractps: 66 0F 3A 17 /r ib
fisttp: DB /1 mem, DD /1 mem, DF /1 mem
haddpd: 66 0F 7C /r
haddps: F2 0F 7C /r
hsubpd: 66 0F 7D /r
hsubps: F2 0F 7D /r
insertps: 66 0F 3A 21 /r ib
lddqu: F2 0F F0 /r mem
monitor: 0F 01 C8
movddup: F2 0F 12 /r
movntdqa: 66 0F 38 2A /r mem
movshdup: F3 0F 16 /r
movsldup: F3 0F 12 /r
mpsadbw: 66 0F 3A 42 /r ib
mwait: 0F 01 C9
pabsb: NP 0F 38 1C /r, 66 0F 38 1C /r
pabsd: NP 0F 38 1E /r, 66 0F 38 1E /r
pabsw: NP 0F 38 1D /r, 66 0F 38 1D /r
packusdw: 66 0F 38 2B /r
palignr: NP 0F 3A 0F /r ib, 66 0F 3A 0F /r ib
pblendvb: 66 0F 38 10 /r
pblendw: 66 0F 3A 0E /r ib
pcmpeqq: 66 0F 38 29 /r
pcmpestri: 66 0F 3A 61 /r ib
pcmpestrm: 66 0F 3A 60 /r ib
pcmpgtq: 66 0F 38 37 /r
pcmpistri: 66 0F 3A 63 /r ib
pcmpistrm: 66 0F 3A 62 /r ib
pextrb: 66 0F 3A 14 /r ib
pextrd: 66 0F 3A 16 /r ib
pextrw: 66 0F 3A 15 /r ib
phaddd: NP 0F 38 02 /r, 66 0F 38 02 /r
phaddsw: NP 0F 38 03 /r, 66 0F 38 03 /r
phaddw: NP 0F 38 01 /r, 66 0F 38 01 /r
phminposuw: 66 0F 38 41 /r
phsubd: NP 0F 38 06 /r, 66 0F 38 06 /r
phsubsw: NP 0F 38 07 /r, 66 0F 38 07 /r
phsubw: NP 0F 38 05 /r, 66 0F 38 05 /r
pinsrb: 66 0F 3A 20 /r ib
pinsrd: 66 0F 3A 22 /r ib
pmaddubsw: NP 0F 38 04 /r, 66 0F 38 04 /r
pmaxsb: 66 0F 38 3C /r
pmaxsd: 66 0F 38 3D /r
pmaxud: 66 0F 38 3F /r
pmaxuw: 66 0F 38 3E /r
pminsb: 66 0F 38 38 /r
pminsd: 66 0F 38 39 /r
pminud: 66 0F 38 3B /r
pminuw: 66 0F 38 3A /r
pmovsxbd: 66 0F 38 21 /r
pmovsxbq: 66 0F 38 22 /r
pmovsxbw: 66 0F 38 20 /r
pmovsxdq: 66 0F 38 25 /r
pmovsxwd: 66 0F 38 23 /r
pmovsxwq: 66 0F 38 24 /r
pmovzxbd: 66 0F 38 31 /r
pmovzxbq: 66 0F 38 32 /r
pmovzxbw: 66 0F 38 30 /r
pmovzxdq: 66 0F 38 35 /r
pmovzxwd: 66 0F 38 33 /r
pmovzxwq: 66 0F 38 34 /r
pmuldq: 66 0F 38 28 /r
pmulhrsw: NP 0F 38 0B /r, 66 0F 38 0B /r
pmulld: 66 0F 38 40 /r
popcnt: F3 0F B8 /r
pshufb: NP 0F 38 00 /r, 66 0F 38 00 /r
psignb: NP 0F 38 08 /r, 66 0F 38 08 /r
psignd: NP 0F 38 0A /r, 66 0F 38 0A /r
psignw: NP 0F 38 09 /r, 66 0F 38 09 /r
ptest: 66 0F 38 17 /r
roundpd: 66 0F 3A 09 /r ib
roundps: 66 0F 3A 08 /r ib
roundsd: 66 0F 3A 0B /r ib
roundss: 66 0F 3A 0A /r ib
`;
