/* Far transfers without gates: what CS may become, conforming segments, returns (SDM vol. 3, 5.8; vol. 2). */
#include "lib.h"

struct far_pointer {
  u32 offset;
  u16 selector;
} __attribute__((packed));
struct far_pointer target;
u32 landed_cs;

/* Where successful transfers land: says so and goes back like a fault would, through the exit vector. */
void landing(void);
/* Through SS, because a return to ring 3 may have emptied DS. */
__asm__("landing:\n movw %cs, %ss:landed_cs\n int $0x80");

static void aim(u64 descriptor, int rpl)
{
  target.selector = set_spare(0, descriptor, rpl);
  target.offset = (u32)landing;
}

static u64 code(u8 access) { return segment_descriptor(0, 0xfffff, access, SEG_G | SEG_32); }

static void outcome(const char *name)
{
  if (fault.happened && fault.frame.vector == USER_EXIT) {
    print("ok %s landed cs=%x\n", name, landed_cs);
    fault_expected_eip = 0;
  } else {
    report(name);
  }
}

#define JUMP(name) \
  TRY(AT "ljmp *target"); \
  outcome(name)
#define USER_JUMP(name) \
  TRY_USER(AT "ljmp *target"); \
  outcome(name)

static void far_jumps(void)
{
  aim(code(SEG_CODE_XR), 0);
  JUMP("jump-code");
  aim(code(SEG_CODE_XR), 3);
  JUMP("jump-rpl3");
  aim(code(SEG_CODE_XR | DPL(3)), 3);
  JUMP("jump-dpl3");
  aim(code(SEG_CODE_XR_CONFORMING), 3);
  JUMP("jump-conforming-dpl0-rpl3");
  aim(code(SEG_CODE_XR_CONFORMING | DPL(3)), 0);
  JUMP("jump-conforming-dpl3");
  aim(code(NOT_PRESENT(SEG_CODE_XR)), 0);
  JUMP("jump-not-present");
  aim(segment_descriptor(0, 0xfffff, SEG_DATA_RW, SEG_G | SEG_32), 0);
  JUMP("jump-data");
  aim(0, 0);
  JUMP("jump-empty");
  target.selector = 0;
  JUMP("jump-null");
  target.selector = GDT_ENTRIES * 8;
  JUMP("jump-beyond-table");
  aim(segment_descriptor(0, 0xfff, SEG_CODE_XR, SEG_32), 0);
  JUMP("jump-over-limit");
  aim(code(SEG_CODE_XR_CONFORMING), 3);
  USER_JUMP("user-jump-conforming-dpl0");
  aim(code(SEG_CODE_XR), 3);
  USER_JUMP("user-jump-dpl0");
  aim(code(SEG_CODE_XR | DPL(3)), 0);
  USER_JUMP("user-jump-rpl0");
  aim(code(SEG_CODE_XO | DPL(3)), 3);
  USER_JUMP("user-jump-execute-only");
}

static void far_calls_and_returns(void)
{
  static u32 esp_before, esp_after, pushed_cs, pushed_eip;
  aim(code(SEG_CODE_XR), 0);
  __asm__ volatile("movl $5f, target\n movl %%esp, %0\n lcall *target\n jmp 6f\n"
                   "5: movl (%%esp), %%eax\n movl %%eax, %2\n movl 4(%%esp), %%eax\n movl %%eax, %3\n lretl\n"
                   "6: movl %%esp, %1"
                   : "=m"(esp_before), "=m"(esp_after), "=m"(pushed_eip), "=m"(pushed_cs)
                   :
                   : "eax", "memory");
  print("ok far-call esp-kept=%u cs=%x\n", esp_before == esp_after, pushed_cs & 0xffff);
  u16 cs;
  __asm__("movw %%cs, %0" : "=r"(cs));
  print("ok far-return cs=%x\n", cs);
  __asm__ volatile("ljmp $0x08, $5f\n 5:");
  TRY("pushl $0\n pushl $landing\n" AT "lretl");
  outcome("return-null");
  TRY("pushl $0x10\n pushl $landing\n" AT "lretl");
  outcome("return-data");
  aim(code(NOT_PRESENT(SEG_CODE_XR)), 0);
  TRY("pushl $0x40\n pushl $landing\n" AT "lretl");
  outcome("return-not-present");
  /* To ring 3: the stack and parameters are dropped on both sides, and data segments of ring 0 become null. */
  TRY("movl $0x10, %eax\n movw %ax, %fs\n movl $0x23, %eax\n movw %ax, %gs\n"
      "pushl $0x11111111\n pushl $0x23\n pushl $0x01801000\n pushl $0\n pushl $0\n pushl $0x1b\n pushl $landing\n" AT "lretl $8");
  outcome("return-to-ring3");
  print("ok return-to-ring3 esp=%x ss=%x fs=%x gs=%x ds=%x\n", fault.frame.user_esp, fault.frame.user_ss, fault.frame.fs,
        fault.frame.gs, fault.frame.ds);
  TRY("pushl $0x10\n pushl $0x01801000\n pushl $0x1b\n pushl $landing\n" AT "lretl");
  outcome("return-to-ring3-with-ring0-stack");
  TRY("pushl $0\n pushl $0x01801000\n pushl $0x1b\n pushl $landing\n" AT "lretl");
  outcome("return-to-ring3-with-null-stack");
  TRY_USER("pushl $0x08\n pushl $landing\n" AT "lretl");
  outcome("user-return-to-ring0");
  TRY_USER("pushl $0x1b\n pushl $landing\n" AT "lretl");
  outcome("user-return");
}

static void interrupt_returns(void)
{
  TRY("pushl $0x246\n andl $~0x200, (%esp)\n pushl $0x08\n pushl $landing\n" AT "iretl");
  outcome("iret");
  TRY("pushl $0x23\n pushl $0x01801000\n pushl $0x3ed7\n andl $~0x100, (%esp)\n pushl $0x1b\n pushl $landing\n" AT "iretl");
  outcome("iret-to-ring3");
  print("ok iret-to-ring3 esp=%x ss=%x eflags=%x\n", fault.frame.user_esp, fault.frame.user_ss, fault.frame.eflags);
  TRY("pushl $0x10\n pushl $0x01801000\n pushl $2\n pushl $0x1b\n pushl $landing\n" AT "iretl");
  outcome("iret-to-ring3-with-ring0-stack");
  TRY("pushl $2\n pushl $0x10\n pushl $landing\n" AT "iretl");
  outcome("iret-data");
  TRY("pushl $2\n pushl $0\n pushl $landing\n" AT "iretl");
  outcome("iret-null");
  aim(code(NOT_PRESENT(SEG_CODE_XR)), 0);
  TRY("pushl $2\n pushl $0x40\n pushl $landing\n" AT "iretl");
  outcome("iret-not-present");
  set_spare(0, segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_DATA_RW) | DPL(3), SEG_G | SEG_32), 3);
  TRY("pushl $0x43\n pushl $0x01801000\n pushl $2\n pushl $0x1b\n pushl $landing\n" AT "iretl");
  outcome("iret-stack-not-present");
  TRY("pushl $0x43\n pushl $0x01801000\n pushl $0x1b\n pushl $landing\n" AT "lretl");
  outcome("retf-stack-not-present");
  aim(segment_descriptor(0, 0xfff, SEG_CODE_XR, SEG_32), 0);
  TRY("pushl $2\n pushl $0x40\n pushl $landing\n" AT "iretl");
  outcome("iret-over-limit");
  TRY_USER("pushl $2\n pushl $0x08\n pushl $landing\n" AT "iretl");
  outcome("user-iret-to-ring0");
  /* In ring 3 IRET may not touch IOPL, nor IF below IOPL. */
  TRY_USER("pushl $0x3202\n pushl $0x1b\n pushl $landing\n" AT "iretl");
  outcome("user-iret");
  print("ok user-iret eflags=%x\n", fault.frame.eflags);
}

void test_main(void)
{
  far_jumps();
  far_calls_and_returns();
  interrupt_returns();
}
