/* Faults behind the point of no return of a task switch: they come in the new task, at its first instruction (SDM vol. 3, table 8-1). */
#include "task.h"

/* The task runs in ring 3, so that handlers have a stack of its TSS. */
static u8 *const user_code = (u8 *)TASK_AREA;
static void late(const char *name, u32 *field, u32 value)
{
  u32 kept = *field;
  *field = value;
  TRY("lcall *target");
  fault_expected_eip = other.eip;
  report(name);
  print("ok %s tr=%x ts=%u own-stack=%u busy=%u%u link=%x\n", name, task_register(), read_cr0() >> 3 & 1,
        fault.frame_address > (u32)task_ring0 && fault.frame_address <= (u32)task_ring0 + sizeof task_ring0, BUSY(TSS_SELECTOR),
        BUSY(TASK), other.link);
  recover();
  *field = kept;
  other.link = 0;
  describe(SEG_TSS32, 103, 0);
}
static void late_faults(void)
{
  prepare(user_code);
  user_code[0] = 0xcd; /* int $0x80 */
  user_code[1] = 0x80;
  other.cs = USER_CS;
  other.ss = other.ds = other.es = other.fs = other.gs = USER_DS;
  u32 scratch = 0;
  late("late-none", &scratch, 0);
  set_spare(5, segment_descriptor(0, 0xfffff, SEG_DATA_RW | DPL(3), SEG_G | SEG_32), 0);
  late("late-ldt-is-data", &other.ldt, SPARE(5));
  late("late-ldt-local", &other.ldt, SPARE(5) | 4);
  late("late-ldt-beyond-table", &other.ldt, GDT_ENTRIES * 8);
  set_spare(5, segment_descriptor((u32)gdt, 0xff, NOT_PRESENT(SEG_LDT), 0), 0);
  late("late-ldt-not-present", &other.ldt, SPARE(5));
  late("late-cs-null", &other.cs, 3);
  late("late-cs-is-data", &other.cs, USER_DS);
  late("late-cs-dpl", &other.cs, KERNEL_CS | 3);
  late("late-cs-beyond-table", &other.cs, GDT_ENTRIES * 8 | 3);
  set_spare(5, segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_CODE_XR | DPL(3)), SEG_G | SEG_32), 0);
  late("late-cs-not-present", &other.cs, SPARE(5) | 3);
  set_spare(5, segment_descriptor(0, 0xfffff, SEG_CODE_XR_CONFORMING, SEG_G | SEG_32), 0);
  late("late-cs-conforming", &other.cs, SPARE(5) | 3);
  set_spare(5, segment_descriptor(0, 0xfff, SEG_CODE_XR | DPL(3), SEG_32), 0);
  late("late-eip", &other.cs, SPARE(5) | 3);
  late("late-ss-null", &other.ss, 0);
  late("late-ss-rpl", &other.ss, USER_DS & ~3);
  late("late-ss-dpl", &other.ss, KERNEL_DS | 3);
  set_spare(5, segment_descriptor(0, 0xfffff, SEG_DATA_RO | DPL(3), SEG_G | SEG_32), 0);
  late("late-ss-readonly", &other.ss, SPARE(5) | 3);
  set_spare(5, segment_descriptor(0, 0xfffff, NOT_PRESENT(SEG_DATA_RW | DPL(3)), SEG_G | SEG_32), 0);
  late("late-ss-not-present", &other.ss, SPARE(5) | 3);
  late("late-ds-not-present", &other.ds, SPARE(5) | 3);
  late("late-gs-not-present", &other.gs, SPARE(5) | 3);
  late("late-es-dpl", &other.es, KERNEL_DS);
  late("late-fs-beyond-table", &other.fs, GDT_ENTRIES * 8 | 3);
  set_spare(5, segment_descriptor(0, 0xfffff, SEG_CODE_XO | DPL(3), SEG_G | SEG_32), 0);
  late("late-gs-execute-only", &other.gs, SPARE(5) | 3);
  late("late-ds-null", &other.ds, 0);
}

void test_main(void) { late_faults(); }
