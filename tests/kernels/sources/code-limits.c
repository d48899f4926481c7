/* The limit of a code segment holds for plain execution, near transfers and every byte of an instruction (SDM vol. 3, 5.3). */
#include "lib.h"

#define AREA 0x01800000u

struct far_pointer {
  u32 offset;
  u16 selector;
} __attribute__((packed));
struct far_pointer target;

static u8 *const bytes = (u8 *)AREA;

/* Enters the small segment at `offset`; the code there is to fault. */
static void enter(const char *name, u32 offset)
{
  target.offset = offset;
  TRY("pushl $0x10\n ljmp *target");
  print("ok %s vector=%u error=%x eip=%x cs=%x\n", name, fault.frame.vector, fault.frame.error, fault.frame.eip, fault.frame.cs);
}

void test_main(void)
{
  target.selector = set_spare(0, segment_descriptor(AREA, 0xf, SEG_CODE_XR, SEG_32), 0);
  memset(bytes, 0x90, 0x100);
  enter("run-over-limit", 0x0e);
  /* jmp +0x10 at 8: the target is over the limit, the fault is the jump's. */
  bytes[8] = 0xeb;
  bytes[9] = 0x10;
  enter("near-jump-over-limit", 8);
  /* jz +0x10, taken and not taken. */
  memcpy(bytes + 4, "\x31\xc0\x74\x10", 4);
  enter("branch-over-limit", 4);
  /* mov imm32 whose immediate is partly over the limit. */
  bytes[0xd] = 0xb8;
  enter("instruction-over-limit", 0xd);
  /* A near return to an offset over the limit: ESP is as before. */
  bytes[4] = 0xc3;
  enter("near-return-over-limit", 4);
  /* call with a relative offset: nothing is pushed. */
  memcpy(bytes + 4, "\xe8\x20\x00\x00\x00", 5);
  enter("near-call-over-limit", 4);
}
