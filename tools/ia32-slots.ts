/**
 * Every encoding of IA-32 up to SSE4.2, by mnemonic, as the opcode maps of the SDM (vol. 2, appendix A) have them: what there is to
 * implement. A line reads `mnemonic: encoding, encoding`; `mem` or `reg` behind an encoding says which ModRM forms it has, when
 * not all or any.
 */

import { SSE3_TO_SSE4 } from './ia32-slots-sse4.ts';

const GENERAL = `
aaa: 37
aad: D5 ib
aam: D4 ib
aas: 3F
adc: 10 /r, 11 /r, 12 /r, 13 /r, 14 ib, 15 iv, 80 /2 ib, 81 /2 iv, 82 /2 ib, 83 /2 ib
add: 00 /r, 01 /r, 02 /r, 03 /r, 04 ib, 05 iv, 80 /0 ib, 81 /0 iv, 82 /0 ib, 83 /0 ib
and: 20 /r, 21 /r, 22 /r, 23 /r, 24 ib, 25 iv, 80 /4 ib, 81 /4 iv, 82 /4 ib, 83 /4 ib
arpl: 63 /r
bound: 62 /r mem
bsf: 0F BC /r
bsr: 0F BD /r
bswap: 0F C8+r
bt: 0F A3 /r, 0F BA /4 ib
btc: 0F BB /r, 0F BA /7 ib
btr: 0F B3 /r, 0F BA /6 ib
bts: 0F AB /r, 0F BA /5 ib
call: E8 cv, FF /2, 9A iv iw, FF /3 mem
cbw: 98
clc: F8
cld: FC
clflush: 0F AE /7 mem
cli: FA
clts: 0F 06
cmc: F5
cmovcc: 0F 40 /r, 0F 41 /r, 0F 42 /r, 0F 43 /r, 0F 44 /r, 0F 45 /r, 0F 46 /r, 0F 47 /r, 0F 48 /r, 0F 49 /r, 0F 4A /r, 0F 4B /r, 0F 4C /r, 0F 4D /r, 0F 4E /r, 0F 4F /r
cmp: 38 /r, 39 /r, 3A /r, 3B /r, 3C ib, 3D iv, 80 /7 ib, 81 /7 iv, 82 /7 ib, 83 /7 ib
cmps: A6, A7
cmpxchg: 0F B0 /r, 0F B1 /r
cmpxchg8b: 0F C7 /1 mem
cpuid: 0F A2
cwd: 99
daa: 27
das: 2F
dec: 48+r, FE /1, FF /1
div: F6 /6, F7 /6
enter: C8 iw ib
hlt: F4
idiv: F6 /7, F7 /7
imul: F6 /5, F7 /5, 0F AF /r, 69 /r iv, 6B /r ib
in: E4 ib, E5 ib, EC, ED
inc: 40+r, FE /0, FF /0
ins: 6C, 6D
int: CD ib, CC, CE, F1
invd: 0F 08
invlpg: 0F 01 /7 mem
iret: CF
jcc: 70 cb, 71 cb, 72 cb, 73 cb, 74 cb, 75 cb, 76 cb, 77 cb, 78 cb, 79 cb, 7A cb, 7B cb, 7C cb, 7D cb, 7E cb, 7F cb, 0F 80 cv, 0F 81 cv, 0F 82 cv, 0F 83 cv, 0F 84 cv, 0F 85 cv, 0F 86 cv, 0F 87 cv, 0F 88 cv, 0F 89 cv, 0F 8A cv, 0F 8B cv, 0F 8C cv, 0F 8D cv, 0F 8E cv, 0F 8F cv
jcxz: E3 cb
jmp: EB cb, E9 cv, FF /4, EA iv iw, FF /5 mem
lahf: 9F
lar: 0F 02 /r
lds: C5 /r mem
lea: 8D /r mem
leave: C9
les: C4 /r mem
lfence: 0F AE E8
lfs: 0F B4 /r mem
lgdt: 0F 01 /2 mem
lgs: 0F B5 /r mem
lidt: 0F 01 /3 mem
lldt: 0F 00 /2
lmsw: 0F 01 /6
lods: AC, AD
loop: E0 cb, E1 cb, E2 cb
lsl: 0F 03 /r
lss: 0F B2 /r mem
ltr: 0F 00 /3
mfence: 0F AE F0
mov: 88 /r, 89 /r, 8A /r, 8B /r, 8C /r, 8E /r, A0 mo, A1 mo, A2 mo, A3 mo, B0+r ib, B8+r iv, C6 /0 ib, C7 /0 iv, 0F 20 /r, 0F 21 /r, 0F 22 /r, 0F 23 /r
movnti: NP 0F C3 /r mem
movs: A4, A5
movsx: 0F BE /r, 0F BF /r
movzx: 0F B6 /r, 0F B7 /r
mul: F6 /4, F7 /4
neg: F6 /3, F7 /3
nop: 90, 0F 1F /r
not: F6 /2, F7 /2
or: 08 /r, 09 /r, 0A /r, 0B /r, 0C ib, 0D iv, 80 /1 ib, 81 /1 iv, 82 /1 ib, 83 /1 ib
out: E6 ib, E7 ib, EE, EF
outs: 6E, 6F
pause: F3 90
pop: 58+r, 8F /0, 07, 17, 1F, 0F A1, 0F A9
popa: 61
popf: 9D
prefetchh: 0F 18 /0 mem, 0F 18 /1 mem, 0F 18 /2 mem, 0F 18 /3 mem
push: 50+r, 68 iv, 6A ib, FF /6, 06, 0E, 16, 1E, 0F A0, 0F A8
pusha: 60
pushf: 9C
rcl: C0 /2 ib, C1 /2 ib, D0 /2, D1 /2, D2 /2, D3 /2
rcr: C0 /3 ib, C1 /3 ib, D0 /3, D1 /3, D2 /3, D3 /3
rdmsr: 0F 32
rdpmc: 0F 33
rdtsc: 0F 31
ret: C3, C2 iw, CB, CA iw
rol: C0 /0 ib, C1 /0 ib, D0 /0, D1 /0, D2 /0, D3 /0
ror: C0 /1 ib, C1 /1 ib, D0 /1, D1 /1, D2 /1, D3 /1
rsm: 0F AA
sahf: 9E
salc: D6
sar: C0 /7 ib, C1 /7 ib, D0 /7, D1 /7, D2 /7, D3 /7
sbb: 18 /r, 19 /r, 1A /r, 1B /r, 1C ib, 1D iv, 80 /3 ib, 81 /3 iv, 82 /3 ib, 83 /3 ib
scas: AE, AF
setcc: 0F 90 /r, 0F 91 /r, 0F 92 /r, 0F 93 /r, 0F 94 /r, 0F 95 /r, 0F 96 /r, 0F 97 /r, 0F 98 /r, 0F 99 /r, 0F 9A /r, 0F 9B /r, 0F 9C /r, 0F 9D /r, 0F 9E /r, 0F 9F /r
sfence: 0F AE F8
sgdt: 0F 01 /0 mem
shl: C0 /4 ib, C1 /4 ib, D0 /4, D1 /4, D2 /4, D3 /4
shld: 0F A4 /r ib, 0F A5 /r
shr: C0 /5 ib, C1 /5 ib, D0 /5, D1 /5, D2 /5, D3 /5
shrd: 0F AC /r ib, 0F AD /r
sidt: 0F 01 /1 mem
sldt: 0F 00 /0
smsw: 0F 01 /4
stc: F9
std: FD
sti: FB
stos: AA, AB
str: 0F 00 /1
sub: 28 /r, 29 /r, 2A /r, 2B /r, 2C ib, 2D iv, 80 /5 ib, 81 /5 iv, 82 /5 ib, 83 /5 ib
sysenter: 0F 34
sysexit: 0F 35
test: 84 /r, 85 /r, A8 ib, A9 iv, F6 /0 ib, F7 /0 iv
ud0: 0F FF /r
ud1: 0F B9 /r
ud2: 0F 0B
verr: 0F 00 /4
verw: 0F 00 /5
wait: 9B
wbinvd: 0F 09
wrmsr: 0F 30
xadd: 0F C0 /r, 0F C1 /r
xchg: 86 /r, 87 /r, 90+r
xlat: D7
xor: 30 /r, 31 /r, 32 /r, 33 /r, 34 ib, 35 iv, 80 /6 ib, 81 /6 iv, 82 /6 ib, 83 /6 ib
`;

const X87 = `
f2xm1: D9 F0
fabs: D9 E1
fadd: D8 /0 mem, DC /0 mem, D8 C0+i, DC C0+i
faddp: DE C0+i
fbld: DF /4 mem
fbstp: DF /6 mem
fchs: D9 E0
fcmovcc: DA C0+i, DA C8+i, DA D0+i, DA D8+i, DB C0+i, DB C8+i, DB D0+i, DB D8+i
fcom: D8 /2 mem, DC /2 mem, D8 D0+i
fcomi: DB F0+i
fcomip: DF F0+i
fcomp: D8 /3 mem, DC /3 mem, D8 D8+i
fcompp: DE D9
fcos: D9 FF
fdecstp: D9 F6
fdiv: D8 /6 mem, DC /6 mem, D8 F0+i, DC F8+i
fdivp: DE F8+i
fdivr: D8 /7 mem, DC /7 mem, D8 F8+i, DC F0+i
fdivrp: DE F0+i
ffree: DD C0+i
fiadd: DA /0 mem, DE /0 mem
ficom: DA /2 mem, DE /2 mem
ficomp: DA /3 mem, DE /3 mem
fidiv: DA /6 mem, DE /6 mem
fidivr: DA /7 mem, DE /7 mem
fild: DB /0 mem, DF /0 mem, DF /5 mem
fimul: DA /1 mem, DE /1 mem
fincstp: D9 F7
fist: DB /2 mem, DF /2 mem
fistp: DB /3 mem, DF /3 mem, DF /7 mem
fisub: DA /4 mem, DE /4 mem
fisubr: DA /5 mem, DE /5 mem
fld: D9 /0 mem, DD /0 mem, DB /5 mem, D9 C0+i
fld1: D9 E8
fldcw: D9 /5 mem
fldenv: D9 /4 mem
fldl2e: D9 EA
fldl2t: D9 E9
fldlg2: D9 EC
fldln2: D9 ED
fldpi: D9 EB
fldz: D9 EE
fmul: D8 /1 mem, DC /1 mem, D8 C8+i, DC C8+i
fmulp: DE C8+i
fnclex: DB E2
fninit: DB E3
fnop: D9 D0
fnsave: DD /6 mem
fnstcw: D9 /7 mem
fnstenv: D9 /6 mem
fnstsw: DD /7 mem, DF E0
fpatan: D9 F3
fprem: D9 F8
fprem1: D9 F5
fptan: D9 F2
frndint: D9 FC
frstor: DD /4 mem
fscale: D9 FD
fsin: D9 FE
fsincos: D9 FB
fsqrt: D9 FA
fst: D9 /2 mem, DD /2 mem, DD D0+i
fstp: D9 /3 mem, DD /3 mem, DB /7 mem, DD D8+i
fsub: D8 /4 mem, DC /4 mem, D8 E0+i, DC E8+i
fsubp: DE E8+i
fsubr: D8 /5 mem, DC /5 mem, D8 E8+i, DC E0+i
fsubrp: DE E0+i
ftst: D9 E4
fucom: DD E0+i
fucomi: DB E8+i
fucomip: DF E8+i
fucomp: DD E8+i
fucompp: DA E9
fxam: D9 E5
fxch: D9 C8+i
fxrstor: 0F AE /1 mem
fxsave: 0F AE /0 mem
fxtract: D9 F4
fyl2x: D9 F1
fyl2xp1: D9 F9
`;

/** MMX and SSE integer instructions with an MMX form and, from SSE2 on, an XMM form. */
const BOTH = `
packssdw: 0F 6B /r
packsswb: 0F 63 /r
packuswb: 0F 67 /r
paddb: 0F FC /r
paddw: 0F FD /r
paddd: 0F FE /r
paddq: 0F D4 /r
paddsb: 0F EC /r
paddsw: 0F ED /r
paddusb: 0F DC /r
paddusw: 0F DD /r
pand: 0F DB /r
pandn: 0F DF /r
pavgb: 0F E0 /r
pavgw: 0F E3 /r
pcmpeqb: 0F 74 /r
pcmpeqw: 0F 75 /r
pcmpeqd: 0F 76 /r
pcmpgtb: 0F 64 /r
pcmpgtw: 0F 65 /r
pcmpgtd: 0F 66 /r
pextrw: 0F C5 /r ib reg
pinsrw: 0F C4 /r ib
pmaddwd: 0F F5 /r
pmaxsw: 0F EE /r
pmaxub: 0F DE /r
pminsw: 0F EA /r
pminub: 0F DA /r
pmovmskb: 0F D7 /r reg
pmulhuw: 0F E4 /r
pmulhw: 0F E5 /r
pmullw: 0F D5 /r
pmuludq: 0F F4 /r
por: 0F EB /r
psadbw: 0F F6 /r
pslld: 0F F2 /r, 0F 72 /6 ib reg
psllq: 0F F3 /r, 0F 73 /6 ib reg
psllw: 0F F1 /r, 0F 71 /6 ib reg
psrad: 0F E2 /r, 0F 72 /4 ib reg
psraw: 0F E1 /r, 0F 71 /4 ib reg
psrld: 0F D2 /r, 0F 72 /2 ib reg
psrlq: 0F D3 /r, 0F 73 /2 ib reg
psrlw: 0F D1 /r, 0F 71 /2 ib reg
psubb: 0F F8 /r
psubw: 0F F9 /r
psubd: 0F FA /r
psubq: 0F FB /r
psubsb: 0F E8 /r
psubsw: 0F E9 /r
psubusb: 0F D8 /r
psubusw: 0F D9 /r
punpckhbw: 0F 68 /r
punpckhwd: 0F 69 /r
punpckhdq: 0F 6A /r
punpcklbw: 0F 60 /r
punpcklwd: 0F 61 /r
punpckldq: 0F 62 /r
pxor: 0F EF /r
movd: 0F 6E /r, 0F 7E /r
`;

/** Packed and scalar arithmetic of SSE (ps, ss) and SSE2 (pd, sd). */
const FOUR = `
add: 0F 58 /r
cmp: 0F C2 /r ib
div: 0F 5E /r
max: 0F 5F /r
min: 0F 5D /r
mul: 0F 59 /r
sqrt: 0F 51 /r
sub: 0F 5C /r
`;

const SSE = `
andnps: NP 0F 55 /r
andnpd: 66 0F 55 /r
andps: NP 0F 54 /r
andpd: 66 0F 54 /r
comiss: NP 0F 2F /r
comisd: 66 0F 2F /r
cvtdq2pd: F3 0F E6 /r
cvtdq2ps: NP 0F 5B /r
cvtpd2dq: F2 0F E6 /r
cvtpd2pi: 66 0F 2D /r
cvtpd2ps: 66 0F 5A /r
cvtpi2pd: 66 0F 2A /r
cvtpi2ps: NP 0F 2A /r
cvtps2dq: 66 0F 5B /r
cvtps2pd: NP 0F 5A /r
cvtps2pi: NP 0F 2D /r
cvtsd2si: F2 0F 2D /r
cvtsd2ss: F2 0F 5A /r
cvtsi2sd: F2 0F 2A /r
cvtsi2ss: F3 0F 2A /r
cvtss2sd: F3 0F 5A /r
cvtss2si: F3 0F 2D /r
cvttpd2dq: 66 0F E6 /r
cvttpd2pi: 66 0F 2C /r
cvttps2dq: F3 0F 5B /r
cvttps2pi: NP 0F 2C /r
cvttsd2si: F2 0F 2C /r
cvttss2si: F3 0F 2C /r
emms: 0F 77
ldmxcsr: NP 0F AE /2 mem
maskmovdqu: 66 0F F7 /r reg
maskmovq: NP 0F F7 /r reg
movapd: 66 0F 28 /r, 66 0F 29 /r
movaps: NP 0F 28 /r, NP 0F 29 /r
movdq2q: F2 0F D6 /r reg
movdqa: 66 0F 6F /r, 66 0F 7F /r
movdqu: F3 0F 6F /r, F3 0F 7F /r
movhlps: NP 0F 12 /r reg
movhpd: 66 0F 16 /r mem, 66 0F 17 /r mem
movhps: NP 0F 16 /r mem, NP 0F 17 /r mem
movlhps: NP 0F 16 /r reg
movlpd: 66 0F 12 /r mem, 66 0F 13 /r mem
movlps: NP 0F 12 /r mem, NP 0F 13 /r mem
movmskpd: 66 0F 50 /r reg
movmskps: NP 0F 50 /r reg
movntdq: 66 0F E7 /r mem
movntpd: 66 0F 2B /r mem
movntps: NP 0F 2B /r mem
movntq: NP 0F E7 /r mem
movq: NP 0F 6F /r, NP 0F 7F /r, F3 0F 7E /r, 66 0F D6 /r
movq2dq: F3 0F D6 /r reg
movsd: F2 0F 10 /r, F2 0F 11 /r
movss: F3 0F 10 /r, F3 0F 11 /r
movupd: 66 0F 10 /r, 66 0F 11 /r
movups: NP 0F 10 /r, NP 0F 11 /r
orpd: 66 0F 56 /r
orps: NP 0F 56 /r
pshufd: 66 0F 70 /r ib
pshufhw: F3 0F 70 /r ib
pshuflw: F2 0F 70 /r ib
pshufw: NP 0F 70 /r ib
pslldq: 66 0F 73 /7 ib reg
psrldq: 66 0F 73 /3 ib reg
punpckhqdq: 66 0F 6D /r
punpcklqdq: 66 0F 6C /r
rcpps: NP 0F 53 /r
rcpss: F3 0F 53 /r
rsqrtps: NP 0F 52 /r
rsqrtss: F3 0F 52 /r
shufpd: 66 0F C6 /r ib
shufps: NP 0F C6 /r ib
stmxcsr: NP 0F AE /3 mem
ucomisd: 66 0F 2E /r
ucomiss: NP 0F 2E /r
unpckhpd: 66 0F 15 /r
unpckhps: NP 0F 15 /r
unpcklpd: 66 0F 14 /r
unpcklps: NP 0F 14 /r
xorpd: 66 0F 57 /r
xorps: NP 0F 57 /r
`;

/** One encoding that IA-32 has. */
export interface Slot {
  readonly set: 'general' | 'x87' | 'MMX, SSE, SSE2' | 'SSE3 to SSE4.2';
  readonly mnemonic: string;
  readonly encoding: string;
  /** The ModRM forms that there are. */
  readonly only: 'mem' | 'reg' | undefined;
}

function parse(set: Slot['set'], text: string): Slot[] {
  return text
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [mnemonic, encodings] = line.split(': ') as [string, string];
      return encodings.split(', ').map((each) => {
        const only = / (mem|reg)$/.exec(each)?.[1] as Slot['only'];
        return { set, mnemonic, encoding: only === undefined ? each : each.slice(0, -4), only };
      });
    });
}

const SIMD: Slot['set'] = 'MMX, SSE, SSE2';
const PRECISIONS = { ps: 'NP', pd: '66', ss: 'F3', sd: 'F2' } as const;

export const SLOTS: readonly Slot[] = [
  ...parse('general', GENERAL),
  ...parse('x87', X87),
  ...parse(SIMD, BOTH).flatMap((slot) => ['NP', '66'].map((p) => ({ ...slot, encoding: `${p} ${slot.encoding}` }))),
  ...parse(SIMD, FOUR).flatMap((slot) =>
    Object.entries(PRECISIONS).map(([suffix, p]) => ({
      ...slot,
      mnemonic: slot.mnemonic + suffix,
      encoding: `${p} ${slot.encoding}`,
    })),
  ),
  ...parse(SIMD, SSE),
  ...parse('SSE3 to SSE4.2', SSE3_TO_SSE4),
];
