/* Every bit of CR4 and of CR0, and what CR3 keeps (SDM vol. 3, 2.5; vol. 2, MOV CRn). */
#include "lib.h"

u32 wanted;
void test_main(void)
{
  u32 leaf[4];
  cpuid(1, leaf);
  u32 cr4 = read_cr4(), settable = 0, refused = 0;
  for (u32 bit = 0; bit < 32; bit++) {
    wanted = cr4 | 1u << bit;
    fault.happened = 0;
    TRY("movl wanted, %eax\n" AT "movl %eax, %cr4");
    if (fault.happened && fault.frame.vector == 13 && fault.frame.error == 0 && read_cr4() == cr4) refused |= 1u << bit;
    else if (!fault.happened && read_cr4() == wanted) settable |= 1u << bit;
    write_cr4(cr4);
  }
  check("each-bit-is-there-or-refused", (settable | refused) == 0xffffffff);
  /* TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT go with what CPUID says. */
  check("all-that-cpuid-names", (settable & 0x7fc) == 0x7fc);
  check("vme-and-pvi-as-cpuid-says", (settable & 3) == ((leaf[3] >> 1 & 1) ? 3u : 0u));
  print("ok beyond %x\n", settable >> 11);

  /* Bits of CR0 that nobody has given a meaning are ignored. */
  u32 cr0 = read_cr0();
  wanted = cr0 | 0x1ffaffc0;
  TRY("movl wanted, %eax\n" AT "movl %eax, %cr0");
  report("cr0-unused-bits");
  print("ok cr0-unused-bits-stay-0 %x\n", read_cr0() ^ cr0);
  for (u32 n = 0; n < 8; n++) {
    wanted = 0;
    if (n == 1) TRY(AT ".byte 0x0f, 0x22, 0xc8");
    else if (n == 5) TRY(AT ".byte 0x0f, 0x20, 0xe8");
    else if (n == 6) TRY(AT ".byte 0x0f, 0x22, 0xf0");
    else if (n == 7) TRY(AT ".byte 0x0f, 0x20, 0xf8");
    else continue;
    report("no-such-register");
  }
  /* The ModRM byte's mode is ignored: always a register. */
  TRY("movl $0, %eax\n" AT ".byte 0x0f, 0x20, 0x18");
  report("mod-is-ignored");
  TRY_USER(AT "movl %cr0, %eax");
  report("read-cr0-in-ring3");
  TRY_USER(AT "movl %cr4, %eax");
  report("read-cr4-in-ring3");
  TRY_USER(AT "movl %eax, %cr3");
  report("write-cr3-in-ring3");
  TRY_USER(AT "lmsw %ax");
  report("lmsw-in-ring3");
  TRY_USER(AT "clts");
  report("clts-in-ring3");
}
