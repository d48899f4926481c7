/* How processors are found (MP 1.4, chapter 4) and started (SDM vol. 3, 9.4; VMI: SetInitialAPState). */
#include "smp.h"

#define TRAMPOLINE 0x8000u

struct processor processors[PROCESSORS_MAX] __attribute__((aligned(64)));
static u8 stacks[PROCESSORS_MAX][STACK_SIZE] __attribute__((aligned(STACK_SIZE)));
struct vmi_ap_state start_state;
u32 start_registers[8];
extern u8 smp_trampoline[], smp_trampoline_end[], smp_trampoline_gdt[];

/* Real-address mode, then protected mode, then everything that `start_state` says. */
__asm__("  .code16\n"
        "smp_trampoline:\n"
        "  cli\n"
        "  movw %cs, %ax\n"
        "  movw %ax, %ds\n"
        "  lgdtl smp_trampoline_gdt - smp_trampoline\n"
        "  movl %cr0, %eax\n"
        "  orl $1, %eax\n"
        "  movl %eax, %cr0\n"
        "  ljmpl $0x08, $smp_protected\n"
        "  .align 4\n"
        "smp_trampoline_gdt:\n"
        "  .word 0\n"
        "  .long 0\n"
        "smp_trampoline_end:\n"
        "  .code32\n"
        "smp_protected:\n"
        "  movl $0x10, %eax\n"
        "  movl %eax, %ds\n"
        "  movl start_state + 12, %eax\n"
        "  movl %eax, %cr4\n"
        "  movl start_state + 8, %eax\n"
        "  movl %eax, %cr3\n"
        "  movl start_state, %eax\n"
        "  movl %eax, %cr0\n"
        "  lgdtl start_state + 78\n"
        "  lidtl start_idt\n"
        "  movw start_state + 66, %ss\n"
        "  movl start_state + 48, %esp\n"
        "  movw start_state + 70, %es\n"
        "  movw start_state + 72, %fs\n"
        "  movw start_state + 74, %gs\n"
        "  lldt start_state + 76\n"
        "  movw start_state + 68, %ax\n"
        "  movl start_state + 24, %edx\n"
        "  movw %ax, %ds\n"
        "  jmp *%edx\n"
        "  .globl start_secondary\n"
        "  .weak processor_main\n"
        "start_secondary:\n"
        "  movl %eax, %ds:start_registers\n"
        "  movl %ebx, %ds:start_registers + 4\n"
        "  movl %ecx, %ds:start_registers + 8\n"
        "  movl %edx, %ds:start_registers + 12\n"
        "  movl %ebp, %ds:start_registers + 16\n"
        "  movl %esi, %ds:start_registers + 20\n"
        "  movl %edi, %ds:start_registers + 24\n"
        "  pushfl\n"
        "  popl %ds:start_registers + 28\n"
        "  pushl $0\n"
        "  popfl\n"
        "  call processor_main\n");
/* IDTR in the order that LIDT wants. */
u8 start_idt[6];

void short_delay(u32 times)
{
  while (times-- > 0) out8(0x80, 0);
}
void send_message(u32 id, u32 command)
{
  vmi.apic_write(APIC_ICR_HIGH, id << 24);
  vmi.apic_write(APIC_ICR_LOW, command);
  while ((vmi.apic_read(APIC_ICR_LOW) & ICR_PENDING) != 0) pause();
}

/* ---- The MP table. */
static const u8 *find_pointer(u32 from, u32 to)
{
  for (u32 at = from; at < to; at += 16)
    if (memcmp((const void *)at, "_MP_", 4) == 0) {
      u8 sum = 0;
      for (u32 i = 0; i < 16; i++) sum = (u8)(sum + ((const u8 *)at)[i]);
      if (sum == 0) return (const u8 *)at;
    }
  return NULL;
}
u32 count_processors(void)
{
  u32 extended = (u32) * (volatile u16 *)0x40e << 4;
  const u8 *pointer = find_pointer(0xf0000, 0x100000);
  if (pointer == NULL) pointer = find_pointer(0x9fc00, 0xa0000);
  if (pointer == NULL && extended != 0) pointer = find_pointer(extended, extended + 1024);
  if (pointer == NULL) return 1;
  const u8 *table = *(const u8 *const *)(pointer + 4), *entry = table + 44;
  u32 found = 0;
  for (u32 entries = *(const u16 *)(table + 34); entries > 0; entries--) {
    if (entry[0] != 0) break;
    found += entry[3] & 1;
    entry += 20;
  }
  return found == 0 ? 1 : found > PROCESSORS_MAX ? PROCESSORS_MAX : found;
}

/* ---- Start. */
void describe_start(u32 id, struct vmi_ap_state *state, void (*eip)(void))
{
  struct processor *p = &processors[id];
  p->id = id;
  p->stack = stacks[id];
  memcpy(p->gdt, gdt, sizeof p->gdt);
  memset(p->tss, 0, sizeof p->tss);
  p->tss[2] = KERNEL_DS;
  p->tss[25] = sizeof p->tss << 16;
  p->gdt[TSS_SELECTOR / 8] = segment_descriptor((u32)p->tss, sizeof p->tss - 1, SEG_TSS32, 0);
  p->gdt[OWN_DATA / 8] = segment_descriptor((u32)p, sizeof *p - 1, SEG_DATA_RW, SEG_32);
  p->gdt[OWN_LDT / 8] = segment_descriptor((u32)p->gdt, 7, SEG_LDT, 0);
  memset(state, 0, sizeof *state);
  state->cr0 = read_cr0();
  state->cr3 = read_cr3();
  state->cr4 = read_cr4();
  state->eip = (u32)eip;
  state->esp = (u32)p->stack + STACK_SIZE;
  state->cs = KERNEL_CS;
  state->ss = KERNEL_DS;
  state->ds = state->es = USER_DS;
  state->fs = OWN_DATA;
  state->gdtr_base = (u32)p->gdt;
  state->gdtr_limit = sizeof p->gdt - 1;
  state->idtr_base = (u32)idt;
  state->idtr_limit = 256 * 8 - 1;
}
void start_processor(u32 id, const struct vmi_ap_state *state)
{
  send_message(id, ICR_INIT);
  short_delay(200);
  if (vmi.set_initial_ap_state != NULL) vmi.set_initial_ap_state(state, id);
  else {
    start_state = *state;
    memcpy(start_idt, &state->idtr_limit, 2);
    memcpy(start_idt + 2, &state->idtr_base, 4);
    memcpy((void *)TRAMPOLINE, smp_trampoline, (u32)(smp_trampoline_end - smp_trampoline));
    __asm__ volatile("sgdt %0" : "=m"(*(u8(*)[6])(TRAMPOLINE + (u32)(smp_trampoline_gdt - smp_trampoline))));
  }
  /* Twice, as systems do: the second one finds a processor that runs. */
  send_message(id, ICR_STARTUP | TRAMPOLINE >> 12);
  short_delay(50);
  send_message(id, ICR_STARTUP | TRAMPOLINE >> 12);
}
