/* What ring 3 may not do, IOPL, and the I/O permission bitmap (SDM vol. 3, 5.9; vol. 1, 19.5). */
#include "lib.h"

#define PRIVILEGED(name, text)                                                                     \
  TRY_USER(AT text "\n xorl %eax, %eax");                                                          \
  report(name)

static void privileged_instructions(void)
{
  PRIVILEGED("hlt", "hlt");
  PRIVILEGED("clts", "clts");
  PRIVILEGED("invd", "invd");
  PRIVILEGED("wbinvd", "wbinvd");
  PRIVILEGED("lmsw", "lmsw %ax");
  PRIVILEGED("mov-from-cr0", "movl %cr0, %eax");
  PRIVILEGED("mov-to-cr3", "movl %eax, %cr3");
  PRIVILEGED("mov-from-cr4", "movl %cr4, %eax");
  PRIVILEGED("mov-from-dr7", "movl %db7, %eax");
  PRIVILEGED("mov-to-dr0", "movl %eax, %db0");
  PRIVILEGED("rdmsr", "rdmsr");
  PRIVILEGED("wrmsr", "wrmsr");
  PRIVILEGED("cpuid", "cpuid");
  PRIVILEGED("rdtsc", "rdtsc");
  PRIVILEGED("smsw", "smsw %eax");
  write_cr4(read_cr4() | CR4_TSD);
  PRIVILEGED("rdtsc-tsd", "rdtsc");
  TRY(AT "rdtsc");
  report("rdtsc-tsd-ring0");
  write_cr4(read_cr4() & ~CR4_TSD);
}

static void interrupt_flag(void)
{
  for (u32 iopl = 0; iopl < 4; iopl += 3) {
    print("ok iopl %u\n", iopl);
    TRY_USER_FLAGS(EFLAGS_IOPL(iopl), AT "cli\n xorl %eax, %eax");
    report("cli");
    TRY_USER_FLAGS(EFLAGS_IOPL(iopl), AT "sti\n xorl %eax, %eax");
    report("sti");
    TRY_USER_FLAGS(EFLAGS_IOPL(iopl), AT "inb $0x80, %al\n xorl %eax, %eax");
    report("in");
    TRY_USER_FLAGS(EFLAGS_IOPL(iopl), "movl $0x80, %edx\n" AT "outb %al, %dx\n xorl %eax, %eax");
    report("out");
    TRY_USER_FLAGS(EFLAGS_IOPL(iopl), "movl $0x80, %edx\n movl $0x01800000, %esi\n" AT "outsb\n xorl %eax, %eax");
    report("outs");
    /* POPF drops silently what it may not change: IOPL always in ring 3, IF below IOPL. */
    TRY_USER_FLAGS(EFLAGS_IOPL(iopl), "pushl $0x3202\n popfl\n pushfl\n popl %eax\n andl $0x3200, %eax");
    report("popf");
    TRY_USER_FLAGS(EFLAGS_IOPL(iopl) | EFLAGS_IF, "pushl $2\n popfl\n pushfl\n popl %eax\n andl $0x3200, %eax");
    report("popf-clear");
  }
  /* CPL 0 may set all of it, but not VM. */
  TRY("pushl $0x27002\n popfl\n pushfl\n popl %ecx\n movl %ecx, 0x01800000");
  report("popf-ring0");
  print("ok popf-ring0-flags %x\n", *(u32 *)0x01800000 & 0x27000);
}

static void allow(u32 port) { tss.io_map[port / 8] &= (u8) ~(1 << port % 8); }

#define PORT(name, text)                                                                           \
  TRY_USER(AT text "\n xorl %eax, %eax");                                                          \
  report(name)
#define PORT_AT(port, name, text)                                                                  \
  TRY_USER("movl $" #port ", %edx\n" AT text "\n xorl %eax, %eax");                                \
  report(name)

static void io_bitmap(void)
{
  tss.io_map_base = (u16)((u32)tss.io_map - (u32)&tss);
  load_tss(sizeof tss - 1);
  allow(0x80);
  allow(0x82);
  allow(0x83);
  PORT("bitmap-allowed-byte", "inb $0x80, %al");
  PORT("bitmap-denied-byte", "inb $0x81, %al");
  PORT("bitmap-word-half-denied", "inw $0x80, %ax");
  PORT("bitmap-word-allowed", "inw $0x82, %ax");
  PORT("bitmap-dword-half-denied", "inl $0x80, %eax");
  allow(0x81);
  PORT("bitmap-dword-allowed", "inl $0x80, %eax");
  PORT("bitmap-dword-over-byte-border", "inl $0x84, %eax");
  for (u32 port = 0x86; port < 0x8a; port++) allow(port);
  PORT_AT(0x87, "bitmap-word-over-byte-border", "inw %dx, %ax");
  /* The check reads two bytes of the bitmap, so the byte after the last one must be inside the limit. */
  allow(0xffff);
  PORT_AT(0xffff, "bitmap-last-port", "inb %dx, %al");
  load_tss((u32)tss.io_map - (u32)&tss + 0x80 / 8 + 1);
  PORT("bitmap-limit-just-enough", "inb $0x80, %al");
  load_tss((u32)tss.io_map - (u32)&tss + 0x80 / 8);
  PORT("bitmap-limit-one-short", "inb $0x80, %al");
  load_tss(0x67);
  PORT("bitmap-outside-of-limit", "inb $0x80, %al");
  tss.io_map_base = 0xffff;
  load_tss(sizeof tss - 1);
  PORT("bitmap-base-beyond", "inb $0x80, %al");
  TRY(AT "inb $0x81, %al");
  report("bitmap-ring0-is-free");
}

void test_main(void)
{
  privileged_instructions();
  interrupt_flag();
  io_bitmap();
}
