/* The x87 unit's ties to the processor: #NM, #MF, and the saved images (SDM vol. 1, chapter 8; vol. 3, 2.5). */
#include "lib.h"

static u8 image[512] __attribute__((aligned(16)));
static u8 second[512] __attribute__((aligned(16)));
static const u32 FLAGS = CR0_TS | CR0_EM | CR0_MP;

static void set(u32 bits) { write_cr0((read_cr0() & ~FLAGS) | bits); }

#define EACH(name, bits) \
  set(bits); \
  TRY(AT "fld1\n fstp %st(0)"); \
  report(name "-fld"); \
  TRY(AT "fwait"); \
  report(name "-wait"); \
  TRY(AT "fnstsw %ax"); \
  report(name "-fnstsw"); \
  TRY(AT "movq %mm0, %mm1\n emms"); \
  report(name "-mmx"); \
  TRY(AT "fxsave 0x01800000"); \
  report(name "-fxsave"); \
  set(0)

static void device_not_available(void)
{
  EACH("none", 0);
  EACH("ts", CR0_TS);
  EACH("mp", CR0_MP);
  EACH("ts-mp", CR0_TS | CR0_MP);
  EACH("em", CR0_EM);
  EACH("em-mp", CR0_EM | CR0_MP);
  set(0);
}

static void sse_availability(void)
{
  write_cr4(read_cr4() & ~CR4_OSFXSR);
  TRY(AT "xorps %xmm0, %xmm0");
  report("sse-without-osfxsr");
  write_cr4(read_cr4() | CR4_OSFXSR);
  TRY(AT "xorps %xmm0, %xmm0");
  report("sse");
  set(CR0_TS);
  TRY(AT "xorps %xmm0, %xmm0");
  report("sse-ts");
  TRY(AT "ldmxcsr 0x01800000");
  report("ldmxcsr-ts");
  set(CR0_EM);
  TRY(AT "xorps %xmm0, %xmm0");
  report("sse-em");
  set(0);
  TRY(AT "movaps 0x01800008, %xmm0");
  report("movaps-misaligned");
  TRY(AT "movups 0x01800008, %xmm0");
  report("movups-misaligned");
  TRY(AT "fxsave 0x01800008");
  report("fxsave-misaligned");
  *(u32 *)0x01800000 = 0xffff0000;
  TRY(AT "ldmxcsr 0x01800000");
  report("ldmxcsr-reserved");
  *(u32 *)0x01800000 = 0x1f80;
  TRY(AT "ldmxcsr 0x01800000");
  report("ldmxcsr-default");
}

/* An unmasked exception is reported by the next waiting instruction, not by the one that caused it. */
static void pending_exceptions(void)
{
  write_cr0(read_cr0() | CR0_NE);
  *(u16 *)0x01800000 = 0x037b; /* zero divide unmasked */
  __asm__ volatile("fninit\n fldcw 0x01800000");
  TRY("fldz\n fld1\n fdiv %st(1), %st(0)\n" AT "fwait");
  report("zero-divide-at-wait");
  TRY(AT "fld1");
  report("zero-divide-at-fld");
  u16 status;
  TRY(AT "fnstsw 0x01800004");
  report("fnstsw-does-not-wait");
  status = *(u16 *)0x01800004;
  print("ok status %04x\n", (u32)status & 0xbaff);
  TRY("fnclex\n" AT "fwait");
  report("after-fnclex");
  __asm__ volatile("fninit");
}

/* Tag, status and control words, and the registers, through FNSAVE and FRSTOR. */
static void saved_images(void)
{
  __asm__ volatile("fninit\n fld1\n fldpi\n fldz\n fnsave (%0)" : : "r"(image) : "memory");
  u32 *words = (u32 *)image;
  print("ok fnsave control=%04x status=%04x tag=%04x\n", words[0] & 0xffff, words[1] & 0xffff, words[2] & 0xffff);
  print("ok fnsave st1=%08x%08x exponent=%04x\n", *(u32 *)(image + 42), *(u32 *)(image + 38), (u32) * (u16 *)(image + 46));
  __asm__ volatile("fnstsw %0" : "=m"(*(u16 *)second));
  print("ok fnsave-initialises status=%04x\n", (u32) * (u16 *)second);
  __asm__ volatile("frstor (%0)\n fnsave (%1)" : : "r"(image), "r"(second) : "memory");
  check("frstor-round-trip", memcmp(image + 28, second + 28, 80) == 0 && (words[2] & 0xffff) == (((u32 *)second)[2] & 0xffff));
  __asm__ volatile("frstor (%0)\n fxsave (%1)\n fninit" : : "r"(image), "r"(second) : "memory");
  print("ok fxsave control=%04x status=%04x tag=%02x mxcsr=%x\n", (u32) * (u16 *)second, (u32) * (u16 *)(second + 2), (u32)second[4],
        *(u32 *)(second + 24));
  print("ok fxsave st1=%08x%08x exponent=%04x\n", *(u32 *)(second + 52), *(u32 *)(second + 48), (u32) * (u16 *)(second + 56));
  memcpy(image, second, 512);
  __asm__ volatile("fxrstor (%0)\n fnstsw 0x01800000\n fxsave (%1)" : : "r"(image), "r"(second) : "memory");
  print("ok fxrstor status=%04x round-trip=%u\n", (u32) * (u16 *)0x01800000, memcmp(image, second, 24) == 0 && memcmp(image + 32, second + 32, 128) == 0);
  __asm__ volatile("fninit\n fnstenv (%0)" : : "r"(image) : "memory");
  print("ok fninit control=%04x status=%04x tag=%04x\n", words[0] & 0xffff, words[1] & 0xffff, words[2] & 0xffff);
  /* MMX marks all registers as valid; EMMS empties them. */
  __asm__ volatile("fninit\n fld1\n fld1\n fld1\n fld1\n fld1\n fld1\n fld1\n fld1\n"
                   "movl $0x01234567, %%eax\n movd %%eax, %%mm3\n fnstenv (%0)" : : "r"(image) : "eax", "memory");
  print("ok mmx tag=%04x\n", words[2] & 0xffff);
  __asm__ volatile("emms\n fnstenv (%0)" : : "r"(image) : "memory");
  print("ok emms tag=%04x\n", words[2] & 0xffff);
}

void test_main(void)
{
  set(0);
  write_cr4(read_cr4() | CR4_OSFXSR);
  __asm__ volatile("fninit");
  device_not_available();
  sse_availability();
  pending_exceptions();
  saved_images();
}
