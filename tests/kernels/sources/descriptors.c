/* Every access byte of a descriptor, by every RPL, from ring 0 and ring 3, in every place where a selector is looked at
   (SDM vol. 3, 5.2 to 5.8; vol. 2: ARPL CALL INT IRET JMP LAR LLDT LSL LTR MOV RET VERR VERW). A line is a checksum of 256 outcomes;
   built with DETAIL it is every outcome. */
#include "task.h"

#define SUBJECT SPARE(0)
#define RING1_CODE SPARE(20)
#define RING1_STACK_TOP (TASK_AREA + 0x8000u)

u32 subject, landed; /* The selector under test; CS where a transfer led to, or the flags and the value of LAR and the like. */
extern u8 landing[];
__asm__("landing: movw %cs, %ss:landed\n int $0x80");

static u32 outcome(void)
{
  if (!fault.happened) return 0x100000u ^ landed;
  if (fault.frame.vector == USER_EXIT) return 0x200000u ^ landed;
  return fault.frame.vector << 16 ^ fault.frame.error;
}

/* The descriptor of an access byte: flat, or a TSS, LDT or gate that works if it may be used. */
static u64 descriptor_of(u8 access)
{
  u8 type = access & 0x1f;
  if (type == 9 || type == 11) return segment_descriptor((u32)&other, 103, access, 0);
  if (type == 1 || type == 3) return segment_descriptor((u32)&other, 10, access, 0); /* Too short: nothing starts there. */
  if (type == 2) return segment_descriptor((u32)gdt, sizeof gdt - 1, access, 0);
  if (type == 4 || type == 12) return gate_descriptor(KERNEL_CS, (u32)landing, access, 0);
  if (type == 5) return gate_descriptor(SPARE(1), 0, access, 0);
  return segment_descriptor(0, 0xfffff, access, SEG_G | SEG_32);
}

enum { LOAD_DS, LOAD_SS, JUMP, CALL, RETURN, IRETURN, RETURN_STACK, LAR, LSL, VERR, VERW, LLDT, LTR, GATE_CODE, INNER_STACK, GATE, OPERATIONS };
static const char *const names[] = {"mov-ds", "mov-ss", "jmp", "call", "retf", "iret", "iret-ss", "lar", "lsl", "verr", "verw", "lldt", "ltr", "int-code", "inner-ss", "int-gate"};

#define BOTH(text)                                                                                 \
  if (user) {                                                                                      \
    TRY_USER(text);                                                                                \
  } else {                                                                                         \
    TRY(text);                                                                                     \
  }
#define LOOK(instruction)                                                                          \
  "movl subject, %ecx\n movl $0x55aa55aa, %eax\n orl %eax, %eax\n " instruction "\n setz %dl\n movzbl %dl, %edx\n shll $31, %edx\n xorl %edx, %eax\n movl %eax, landed"

static void attempt(int operation, int user)
{
  landed = 0;
  fault_expected_eip = 0;
  switch (operation) {
  case LOAD_DS: BOTH("movl subject, %eax\n movw %ax, %fs\n movw %fs, %ax\n movw %ax, landed"); break;
  case LOAD_SS: BOTH("movl subject, %eax\n movw %ss, %cx\n movw %ax, %ss\n movw %cx, %ss\n movl $1, landed"); break;
  case JUMP: BOTH("ljmp *target"); break;
  case CALL: BOTH("lcall *target"); break;
  case RETURN: BOTH("pushl $0x23\n pushl $0x01808000\n pushl subject\n pushl $landing\n lretl"); break;
  case IRETURN: BOTH("pushl $0x23\n pushl $0x01808000\n pushl $2\n pushl subject\n pushl $landing\n iretl"); break;
  case RETURN_STACK: BOTH("pushl subject\n pushl $0x01808000\n pushl $2\n pushl $0x1b\n pushl $landing\n iretl"); break;
  case LAR: BOTH(LOOK("larl %ecx, %eax")); break;
  case LSL: BOTH(LOOK("lsll %ecx, %eax")); break;
  case VERR: BOTH(LOOK("verr %cx")); break;
  case VERW: BOTH(LOOK("verw %cx")); break;
  case LLDT: BOTH("lldt subject\n sldt %eax\n movl %eax, landed"); break;
  case LTR: BOTH("ltr subject\n str %eax\n movl %eax, landed"); break;
  case GATE_CODE: BOTH("int $0x42"); break;
  case INNER_STACK: BOTH("int $0x43"); break;
  case GATE: BOTH("int $0x44"); break;
  }
}

static void prepare_attempt(u8 access, int rpl)
{
  u64 descriptor = descriptor_of(access);
  subject = set_spare(0, descriptor, rpl);
  target.selector = (u16)subject;
  target.offset = (u32)landing;
  set_spare(1, segment_descriptor((u32)&other, 103, SEG_TSS32, 0), 0);
  idt[0x42] = gate_descriptor((u16)subject, (u32)landing, GATE_INT32 | DPL(3), 0);
  idt[0x43] = gate_descriptor(RING1_CODE | 1, (u32)landing, GATE_INT32 | DPL(3), 0);
  idt[0x44] = (access & 0x1f) == 5 ? gate_descriptor(SPARE(1), 0, access, 0) : gate_descriptor(KERNEL_CS, (u32)landing, access, 0);
  tss.ss1 = (u16)subject;
  tss.esp1 = RING1_STACK_TOP;
  other.eip = (u32)landing;
  other.esp = TASK_STACK_TOP;
  other.eflags = 2;
  other.link = 0;
}

void test_main(void)
{
  prepare(landing);
  /* 16-bit gates lead to the low half of the address. */
  memcpy((void *)((u32)landing & 0xffff), landing, 32);
  set_spare(20, segment_descriptor(0, 0xfffff, SEG_CODE_XR | DPL(1), SEG_G | SEG_32), 0);
  for (int operation = 0; operation < OPERATIONS; operation++)
    for (int user = 0; user < 2; user++)
      for (int rpl = 0; rpl < 4; rpl++) {
        u32 sum = 2166136261u;
        for (u32 access = 0; access < 256; access++) {
          prepare_attempt((u8)access, rpl);
          attempt(operation, user);
          u32 result = outcome() ^ (u32)(gdt[SUBJECT / 8] >> 40 & 0xff) << 24 ^ access << 24;
          if (task_register() != TSS_SELECTOR) {
            load_tss(sizeof tss - 1);
            __asm__ volatile("clts");
          }
          __asm__ volatile("lldt %w0" : : "r"(0));
          for (int i = 0; i < 4; i++) sum = (sum ^ (result >> 8 * i & 0xff)) * 16777619u;
#ifdef DETAIL
          print("ok %s ring=%u rpl=%u access=%x %x\n", names[operation], user * 3, rpl, access, result);
#endif
        }
        print("ok %s ring=%u rpl=%u sum=%x\n", names[operation], user * 3, rpl, sum);
      }
}
