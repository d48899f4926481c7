/* What no sane system does: code and page tables in registers of devices, video memory, ROM, and where nothing is. */
#include "lib.h"

#define APIC_LVT_TIMER 0xfee00320u
#define APIC_INITIAL_COUNT 0xfee00380u
#define NOWHERE 0xd0000000u
#define VIDEO 0xb8000u
#define MASKED 0x10000u
#define TABLE_SPACE 0x40000000u

/* ---- Code. */
static void run_at(const char *name, u32 address)
{
  fault_expected_eip = address;
  run_kernel_at(address);
  report(name);
}
static void execute_devices(void)
{
  /* The initial count of the APIC's timer, with the timer masked: C3 is RET. */
  *(volatile u32 *)APIC_LVT_TIMER = MASKED;
  *(volatile u32 *)APIC_INITIAL_COUNT = 0xc3;
  run_at("ret-in-apic", APIC_INITIAL_COUNT);
  /* 0F 0B: UD2. */
  *(volatile u32 *)APIC_INITIAL_COUNT = 0x0b0f;
  run_at("ud2-in-apic", APIC_INITIAL_COUNT);
  *(volatile u32 *)APIC_INITIAL_COUNT = 0;
  /* Where nothing answers, all lines are high: FF FF is undefined. */
  run_at("execute-nothing", NOWHERE);
  /* mov eax, 12345678; ret - in RAM that a device shows. */
  static const u8 code[] = {0xb8, 0x78, 0x56, 0x34, 0x12, 0xc3};
  memcpy((void *)VIDEO, code, sizeof code);
  run_at("execute-video", VIDEO);
}

/* ---- Page tables. */
static void read_through(const char *name, u32 table)
{
  page_directory[TABLE_SPACE >> 22] = table | PTE_P | PTE_W | PTE_U;
  flush_tlb();
  TRY(AT "movl 0x40000000, %eax");
  report(name);
  page_directory[TABLE_SPACE >> 22] = 0;
  flush_tlb();
}
static void tables_in_devices(void)
{
  /* All ones: present, and the last page below 4 GiB. */
  read_through("table-nowhere", NOWHERE);
  /* An entry of the APIC's page that is reserved reads as zero. */
  read_through("table-in-apic", 0xfee00000u);
  /* In a ROM, or where one would be, bits A and D cannot be set. */
  page_directory[TABLE_SPACE >> 22] = 0xf0000u | PTE_P | PTE_W;
  flush_tlb();
  TRY("movl $1, 0x40000000");
  page_directory[TABLE_SPACE >> 22] = 0;
  flush_tlb();
  check("table-in-rom", 1);
}

void test_main(void)
{
  execute_devices();
  paging_on();
  tables_in_devices();
  paging_off();
}
