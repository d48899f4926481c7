/*
 * Executes x87 and SSE scalar instructions of the host CPU on operands read from standard input, as the reference of
 * the numerics tests. Records of 40 bytes in, records of 40 bytes out, in the same order:
 *
 *   in:  u16 operation, u16 control word, u32 MXCSR, 16 bytes a, 16 bytes b
 *   out: u16 x87 status word, u16 one if SIGFPE was delivered, u32 MXCSR, 16 bytes first result, 16 bytes second result
 *
 * x87 operations run with a in ST(0) and b in ST(1) and return ST(0) and ST(1) as the instruction left them, by
 * FNSAVE, which never waits, so unmasked exceptions show as they are pending. Operations on memory use a buffer that
 * holds a before (loads) or a known pattern (stores), and return it as the second result. The operation numbers are the
 * list in ../operations.ts.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

struct input {
  uint16_t operation, cw;
  uint32_t mxcsr;
  uint8_t a[16], b[16];
};
struct output {
  uint16_t sw, trapped;
  uint32_t mxcsr;
  uint8_t r0[16], r1[16];
};

/* The 32-bit protected mode FNSAVE image: 28 bytes of environment, then eight registers from ST(0). */
struct image {
  uint32_t cw, sw, tag, eip, cs, dp, ds;
  uint8_t st[8][10];
} __attribute__((packed));

static void finish(struct output *out, const struct image *image) {
  out->sw = (uint16_t)image->sw;
  memcpy(out->r0, image->st[0], 10);
  memcpy(out->r1, image->st[1], 10);
}

/* ST(0) = a, ST(1) = b, then the instruction. */
#define BINARY(number, text)                                                                                           \
  case number:                                                                                                         \
    __asm__ volatile("fninit\n\tfldcw %1\n\tfldt %3\n\tfldt %2\n\t" text "\n\tfnsave %0"                               \
                     : "=m"(image)                                                                                     \
                     : "m"(in->cw), "m"(in->a), "m"(in->b)                                                             \
                     : "cc", "memory");                                                                                \
    finish(out, &image);                                                                                               \
    break;

/* Loads from a into ST(0), over b twice. */
#define LOAD(number, text)                                                                                             \
  case number:                                                                                                         \
    __asm__ volatile("fninit\n\tfldcw %1\n\tfldt %3\n\tfldt %3\n\t" text " %2\n\tfnsave %0"                           \
                     : "=m"(image)                                                                                     \
                     : "m"(in->cw), "m"(in->a), "m"(in->b)                                                             \
                     : "memory");                                                                                      \
    finish(out, &image);                                                                                               \
    break;

/* Stores ST(0) = a over the pattern. */
#define STORE(number, text)                                                                                            \
  case number:                                                                                                         \
    memset(memory, 0xcc, sizeof memory);                                                                               \
    __asm__ volatile("fninit\n\tfldcw %2\n\tfldt %4\n\tfldt %3\n\t" text " %1\n\tfnsave %0"                            \
                     : "=m"(image), "+m"(memory)                                                                       \
                     : "m"(in->cw), "m"(in->a), "m"(in->b)                                                             \
                     : "memory");                                                                                      \
    finish(out, &image);                                                                                               \
    memcpy(out->r1, memory, 16);                                                                                       \
    break;

/* x = a, y = b in vector registers; x is the result. */
#define SSE(number, text)                                                                                              \
  case number:                                                                                                         \
    __asm__ volatile("movups %2, %%xmm0\n\tmovups %3, %%xmm1\n\tldmxcsr %1\n\t" text                                   \
                     "\n\tstmxcsr %1\n\tmovups %%xmm0, %0"                                                             \
                     : "=m"(out->r0), "+m"(mxcsr)                                                                      \
                     : "m"(in->a), "m"(in->b)                                                                          \
                     : "xmm0", "xmm1", "memory");                                                                      \
    break;

/* As above with a also in RAX, which is the second result. */
#define SSE_GENERAL(number, text)                                                                                      \
  case number:                                                                                                         \
    memcpy(&general, in->a, 8);                                                                                        \
    __asm__ volatile("movups %3, %%xmm0\n\tmovups %4, %%xmm1\n\tldmxcsr %1\n\t" text                                   \
                     "\n\tstmxcsr %1\n\tmovups %%xmm0, %0"                                                             \
                     : "=m"(out->r0), "+m"(mxcsr), "+a"(general)                                                       \
                     : "m"(in->a), "m"(in->b)                                                                          \
                     : "xmm0", "xmm1", "cc", "memory");                                                                \
    memcpy(out->r1, &general, 8);                                                                                      \
    break;

#define COMPARE(text) text "\n\tpushfq\n\tpopq %%rax"

static sigjmp_buf recover;
static volatile uint32_t trapped_mxcsr;

static void on_fpe(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  trapped_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(recover, 1);
}

static void run_x87(const struct input *in, struct output *out) {
  struct image image;
  uint8_t memory[16];
  switch (in->operation) {
    BINARY(0, "fadd %%st(1), %%st")
    BINARY(1, "fsub %%st(1), %%st")
    BINARY(2, "fmul %%st(1), %%st")
    BINARY(3, "fdiv %%st(1), %%st")
    BINARY(4, "fsqrt")
    BINARY(5, "fcom %%st(1)")
    BINARY(6, "fucom %%st(1)")
    BINARY(7, "fprem")
    BINARY(8, "fprem1")
    BINARY(9, "frndint")
    BINARY(10, "fscale")
    BINARY(11, "fxtract")
    BINARY(12, "fxam")
    BINARY(13, "ftst")
    LOAD(14, "flds")
    LOAD(15, "fldl")
    STORE(16, "fsts")
    STORE(17, "fstl")
    LOAD(18, "filds")
    LOAD(19, "fildl")
    LOAD(20, "fildll")
    STORE(21, "fists")
    STORE(22, "fistl")
    STORE(23, "fistpll")
    STORE(24, "fisttps")
    STORE(25, "fisttpl")
    STORE(26, "fisttpll")
    LOAD(27, "fbld")
    STORE(28, "fbstp")
    BINARY(29, "fld1")
    BINARY(30, "fldl2t")
    BINARY(31, "fldl2e")
    BINARY(32, "fldpi")
    BINARY(33, "fldlg2")
    BINARY(34, "fldln2")
    BINARY(35, "fldz")
    BINARY(36, "f2xm1")
    BINARY(37, "fyl2x")
    BINARY(38, "fyl2xp1")
    BINARY(39, "fsin")
    BINARY(40, "fcos")
    BINARY(41, "fsincos")
    BINARY(42, "fptan")
    BINARY(43, "fpatan")
    LOAD(44, "fldt")
    STORE(45, "fstpt")
  }
}

static void run_sse(const struct input *in, struct output *out) {
  uint32_t mxcsr = in->mxcsr;
  uint64_t general;
  switch (in->operation) {
    SSE(64, "addss %%xmm1, %%xmm0")
    SSE(65, "subss %%xmm1, %%xmm0")
    SSE(66, "mulss %%xmm1, %%xmm0")
    SSE(67, "divss %%xmm1, %%xmm0")
    SSE(68, "sqrtss %%xmm0, %%xmm0")
    SSE(69, "minss %%xmm1, %%xmm0")
    SSE(70, "maxss %%xmm1, %%xmm0")
    SSE(71, "addsd %%xmm1, %%xmm0")
    SSE(72, "subsd %%xmm1, %%xmm0")
    SSE(73, "mulsd %%xmm1, %%xmm0")
    SSE(74, "divsd %%xmm1, %%xmm0")
    SSE(75, "sqrtsd %%xmm0, %%xmm0")
    SSE(76, "minsd %%xmm1, %%xmm0")
    SSE(77, "maxsd %%xmm1, %%xmm0")
    SSE_GENERAL(78, COMPARE("comiss %%xmm1, %%xmm0"))
    SSE_GENERAL(79, COMPARE("ucomiss %%xmm1, %%xmm0"))
    SSE_GENERAL(80, COMPARE("comisd %%xmm1, %%xmm0"))
    SSE_GENERAL(81, COMPARE("ucomisd %%xmm1, %%xmm0"))
    SSE_GENERAL(82, "cvtsi2ssl %%eax, %%xmm0")
    SSE_GENERAL(83, "cvtsi2sdl %%eax, %%xmm0")
    SSE_GENERAL(84, "cvtsi2ssq %%rax, %%xmm0")
    SSE_GENERAL(85, "cvtsi2sdq %%rax, %%xmm0")
    SSE(86, "cvtss2sd %%xmm0, %%xmm0")
    SSE(87, "cvtsd2ss %%xmm0, %%xmm0")
    SSE_GENERAL(88, "cvtss2si %%xmm0, %%eax")
    SSE_GENERAL(89, "cvttss2si %%xmm0, %%eax")
    SSE_GENERAL(90, "cvtsd2si %%xmm0, %%eax")
    SSE_GENERAL(91, "cvttsd2si %%xmm0, %%eax")
    SSE_GENERAL(92, "cvtss2si %%xmm0, %%rax")
    SSE_GENERAL(93, "cvttss2si %%xmm0, %%rax")
    SSE_GENERAL(94, "cvtsd2si %%xmm0, %%rax")
    SSE_GENERAL(95, "cvttsd2si %%xmm0, %%rax")
  }
  out->mxcsr = mxcsr;
}

int main(void) {
  static struct input in[4096];
  static struct output out[4096];
  struct sigaction action = {.sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGFPE, &action, NULL);
  size_t count;
  while ((count = fread(in, sizeof in[0], 4096, stdin)) > 0) {
    memset(out, 0, sizeof out);
    for (volatile size_t i = 0; i < count; i++) {
      if (in[i].operation < 64) run_x87(&in[i], &out[i]);
      else if ((in[i].mxcsr & 0x1f80) == 0x1f80) run_sse(&in[i], &out[i]);
      else if (sigsetjmp(recover, 0) == 0) run_sse(&in[i], &out[i]);
      else {
        out[i].trapped = 1;
        out[i].mxcsr = trapped_mxcsr;
      }
    }
    if (fwrite(out, sizeof out[0], count, stdout) != count) return 1;
  }
  return 0;
}
