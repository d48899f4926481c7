/*
 * Runs short i386 byte sequences on the processor of this machine and reports the state they leave.
 *
 * A program without a C library, so that nothing else lives in its address space: no thread pointer in GS, no heap,
 * no initialisers. It reads case records from standard input and writes one result record for each to standard output;
 * the records are described in host/protocol.ts. The page map and its contents are the contract of case.ts.
 *
 * A case is entered by a trampoline (fxrstor, popa, popf, jmp) and always left by an exception: the code pages are
 * filled with int3, so wherever control arrives next, the kernel delivers a signal whose context holds the whole state.
 * The handler runs on a stack of its own, takes the state from that context, and goes back to the main loop without
 * returning from the signal; thus a case costs one trip through the kernel.
 *
 * A case may start in 16-bit code and on a 16-bit stack: their segments lie in the LDT (modify_ldt(2)), at the bases that case.ts has.
 *
 * Not here: 64-bit code, other segment bases, and system calls, which are stopped by a seccomp filter.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

enum { PAGE = 4096 };
enum { DATA = 0x10000000, READ_ONLY = 0x10002000, STACK = 0x10010000, CODE = 0x20000000, CODE_SIZE = 2 * PAGE };
enum { INT3 = 0xcc, FX_SIZE = 512 };

/* Results that are no exception of the processor; they follow case.ts. */
enum { TRAP_TIMEOUT = 256, TRAP_SYSTEM_CALL = 257, TRAP_HARNESS = 258 };

/* ---- Linux i386: system calls, signals (arch/x86 uapi asm/unistd_32.h, asm/sigcontext.h, asm/ucontext.h) ---- */

enum {
  SYS_READ = 3, SYS_WRITE = 4, SYS_MUNMAP = 91, SYS_SETITIMER = 104, SYS_MODIFY_LDT = 123, SYS_MPROTECT = 125, SYS_PRCTL = 172,
  SYS_RT_SIGACTION = 174, SYS_SIGALTSTACK = 186, SYS_MMAP2 = 192, SYS_EXIT_GROUP = 252
};
enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11, SIGVTALRM = 26, SIGSYS = 31 };
enum { SA_SIGINFO = 4, SA_RESTORER = 0x04000000, SA_ONSTACK = 0x08000000, SA_NODEFER = 0x40000000 };
enum { EINTR = 4, PROT_RX = 5, PROT_RWX = 7, MAP_PRIVATE_ANONYMOUS = 0x22, MAP_FIXED_NOREPLACE = 0x100000 };
enum { ITIMER_VIRTUAL = 1, PR_SET_SECCOMP = 22, PR_SET_NO_NEW_PRIVS = 38, SECCOMP_MODE_FILTER = 2 };

/* asm/ldt.h; the bits of `flags`: seg_32bit, contents (2), read_exec_only, limit_in_pages, seg_not_present, useable. */
struct ldt_entry { u32 number, base, limit, flags; };
enum { IN_LDT = 4, LDT_WRITE = 0x11, LDT_DATA = 0, LDT_CODE = 4, LDT_NONE = 0x28 };

struct action { void *handler; u32 flags; void *restorer; u32 mask[2]; };
struct alternate_stack { void *base; int flags; u32 size; };
struct interval { int every_s, every_us, first_s, first_us; };
struct filter { u16 code; u8 if_true, if_false; u32 k; };
struct filter_program { u16 length; struct filter *filters; };

/* The signal frame's floating point part: the FSAVE image of old, then FXSAVE, then the XSAVE header. */
struct fp_frame { u8 fsave[112]; u8 fx[FX_SIZE]; u32 xstate_bv[2]; };
enum { FX_SOFTWARE_MAGIC_AT = 464, FP_XSTATE_MAGIC1 = 0x46505853, XSTATE_X87 = 1, XSTATE_SSE = 2 };

struct context {
  u32 uc_flags, uc_link, stack[3];
  u16 gs, gs_high, fs, fs_high, es, es_high, ds, ds_high;
  u32 edi, esi, ebp, esp, ebx, edx, ecx, eax, trap, error, eip;
  u16 cs, cs_high;
  u32 eflags, esp_at_signal;
  u16 ss, ss_high;
  struct fp_frame *fp;
  u32 old_mask, cr2;
};

static int call6(int number, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f) {
  int result;
  u32 pair[2] = {e, f}, last = (u32)pair;
  /* The sixth argument travels in ebp, the frame pointer: it is swapped in around the call. */
  __asm__ volatile("pushl %%ebp\n\t"
                   "movl 4(%%edi), %%ebp\n\t"
                   "movl (%%edi), %%edi\n\t"
                   "int $0x80\n\t"
                   "popl %%ebp"
                   : "=a"(result), "+D"(last)
                   : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d)
                   : "memory", "cc");
  return result;
}
static int call3(int number, u32 a, u32 b, u32 c) { return call6(number, a, b, c, 0, 0, 0); }

/* The compiler may call these for struct copies. */
void *memcpy(void *to, const void *from, u32 length) {
  void *start = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
  return start;
}
void *memset(void *to, int value, u32 length) {
  void *start = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(value) : "memory");
  return start;
}

static void exit_with(int code, const char *why) {
  u32 length = 0;
  while (why[length]) length++;
  call3(SYS_WRITE, 2, (u32)why, length);
  call3(SYS_WRITE, 2, (u32)"\n", 1);
  for (;;) call3(SYS_EXIT_GROUP, code, 0, 0);
}

/* ---- Entering and leaving a case ---- */

struct state { u32 edi, esi, ebp, unused_esp, ebx, edx, ecx, eax, eflags, esp, eip, cs, ss, ds, es; };

/* Read by the trampoline by name. */
struct state entry_state __attribute__((used));
u8 entry_fx[FX_SIZE] __attribute__((used, aligned(16)));
u32 harness_esp __attribute__((used));
u8 main_stack[0x10000] __attribute__((used, aligned(16)));

void enter_case(void);
void leave_case(void) __attribute__((noreturn));
void signal_entry(void);
void signal_restorer(void);
extern u8 __executable_start[], etext[];

__asm__(".text\n"
        ".globl _start\n"
        "_start:\n\t"
        "xorl %ebp, %ebp\n\t"
        "movl %esp, %eax\n\t"
        "movl $main_stack+0xfff4, %esp\n\t" /* with the argument pushed, a multiple of 16 */
        "pushl %eax\n\t"
        "call harness_main\n"
        ".globl enter_case\n"
        "enter_case:\n\t"
        "pushal\n\t"
        "movl %esp, harness_esp\n\t"
        "movl $1, in_case\n\t" /* only now can the handler find its way back */
        "xorl %eax, %eax\n\t" /* an earlier case may have left a selector here; the kernel resets the others */
        "movl %eax, %fs\n\t"
        "movl %eax, %gs\n\t"
        "movw entry_state+56, %es\n\t"
        "fxrstor entry_fx\n\t"
        "movl $entry_state, %esp\n\t"
        "popal\n\t"
        "popfl\n\t" /* nothing below changes a flag */
        "movw entry_state+48, %ss\n\t"
        "movl entry_state+36, %esp\n\t"
        "movw entry_state+52, %ds\n\t"
        "ljmp *%cs:entry_state+40\n"
        ".globl leave_case\n"
        "leave_case:\n\t"
        "movl harness_esp, %esp\n\t"
        "popal\n\t"
        "ret\n"
        ".globl signal_entry\n"
        "signal_entry:\n\t" /* the kernel clears DF, RF and TF only: AC and NT are the case's */
        "pushl $2\n\t"
        "popfl\n\t"
        "jmp on_signal\n"
        ".globl signal_restorer\n"
        "signal_restorer:\n\t"
        "movl $173, %eax\n\t" /* rt_sigreturn */
        "int $0x80\n");

struct result_header {
  u32 size, trap, error, cr2, eip, eflags;
  u32 registers[8];
  u16 segments[6]; /* es cs ss ds fs gs: the encoding's order */
  u8 fx[FX_SIZE];
};

static struct result_header outcome;
volatile int in_case __attribute__((used));
static volatile int redo, ticks;
static u8 signal_stack[128 * 1024] __attribute__((aligned(16)));

/* What FNINIT and a cleared XMM file look like, for components that XSAVE calls "in their initial configuration". */
static void fill_initial_components(const struct fp_frame *fp) {
  if (*(const u32 *)(fp->fx + FX_SOFTWARE_MAGIC_AT) != FP_XSTATE_MAGIC1) return;
  if (!(fp->xstate_bv[0] & XSTATE_X87)) {
    memset(outcome.fx, 0, 24);
    memset(outcome.fx + 32, 0, 128);
    *(u16 *)outcome.fx = 0x37f;
  }
  if (!(fp->xstate_bv[0] & XSTATE_SSE)) memset(outcome.fx + 160, 0, 128);
}

static void take_state(int signal, const struct context *at) {
  int in_harness = at->eip >= (u32)__executable_start && at->eip < (u32)etext;
  outcome.trap = in_harness             ? TRAP_HARNESS
                 : signal == SIGVTALRM  ? TRAP_TIMEOUT
                 : signal == SIGSYS     ? TRAP_SYSTEM_CALL
                                        : at->trap;
  outcome.error = at->error;
  outcome.cr2 = at->cr2;
  outcome.eip = at->eip;
  outcome.eflags = at->eflags;
  const u32 registers[8] = {at->eax, at->ecx, at->edx, at->ebx, at->esp, at->ebp, at->esi, at->edi};
  const u16 segments[6] = {at->es, at->cs, at->ss, at->ds, at->fs, at->gs};
  memcpy(outcome.registers, registers, sizeof registers);
  memcpy(outcome.segments, segments, sizeof segments);
  memcpy(outcome.fx, at->fp->fx, FX_SIZE);
  fill_initial_components(at->fp);
}

void on_signal(int signal, void *info, struct context *at) __attribute__((used));
void on_signal(int signal, void *info, struct context *at) {
  (void)info;
  if (!in_case) {
    if (signal == SIGVTALRM) return;
    exit_with(3, "host-cpu harness: a fault in the harness itself");
  }
  /* A tick strikes some case every now and then: that one is run again, and only a second tick in a row means a loop. */
  if (signal == SIGVTALRM && ++ticks < 2) redo = 1;
  else take_state(signal, at);
  in_case = 0;
  leave_case();
}

static void catch_signal(int signal) {
  struct action action = {(void *)signal_entry, SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_NODEFER,
                          (void *)signal_restorer, {0, 0}};
  if (call6(SYS_RT_SIGACTION, signal, (u32)&action, 0, 8, 0, 0)) exit_with(2, "host-cpu harness: no signals");
}

/* ---- Memory of a case ---- */

struct region { u8 *at; u32 size; u8 *before; };
static u8 data_before[PAGE], stack_before[PAGE], code_before[CODE_SIZE], background_data[PAGE], background_stack[PAGE];
static const struct region regions[3] = {
    {(u8 *)DATA, PAGE, data_before}, {(u8 *)STACK, PAGE, stack_before}, {(u8 *)CODE, CODE_SIZE, code_before}};

/* Must agree with backgroundByte() of case.ts. */
static void fill_background(u8 *to, u32 address) {
  for (u32 i = 0; i < PAGE; i++) to[i] = (u8)(((address + i) * 0x9d + ((address + i) >> 8) * 0x3b + 0x11) & 0xff);
}

static void map_page(u32 address, u32 size) {
  int got = call6(SYS_MMAP2, address, size, PROT_RWX, MAP_PRIVATE_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if ((u32)got != address) exit_with(2, "host-cpu harness: a fixed page address is taken");
}

static void set_up_memory(void) {
  map_page(DATA, PAGE);
  map_page(READ_ONLY, PAGE);
  map_page(STACK, PAGE);
  map_page(CODE, CODE_SIZE);
  fill_background((u8 *)READ_ONLY, READ_ONLY);
  if (call3(SYS_MPROTECT, READ_ONLY, PAGE, PROT_RX)) exit_with(2, "host-cpu harness: mprotect failed");
  fill_background(background_data, DATA);
  fill_background(background_stack, STACK);
  memset(code_before, INT3, CODE_SIZE);
}

static void reset_memory(void) {
  memcpy((u8 *)DATA, background_data, PAGE);
  memcpy((u8 *)STACK, background_stack, PAGE);
  memset((u8 *)CODE, INT3, CODE_SIZE);
}

static void apply_patch(u32 address, const u8 *bytes, u32 length) {
  for (u32 i = 0; i < 3; i++) {
    u32 start = (u32)regions[i].at;
    if (address < start || address - start > regions[i].size || length > regions[i].size - (address - start)) continue;
    memcpy((u8 *)address, bytes, length);
    return;
  }
  exit_with(4, "host-cpu harness: a patch lies outside the pages");
}

/*
 * Code, stack and data; must agree with SEGMENTS_16 of case.ts. They are there for cases that start in them only: what LAR and LSL see is
 * part of what is compared. Returns 0, or why Linux has none (CONFIG_X86_16BIT).
 */
static int set_segments(int present) {
  static int now;
  const struct ldt_entry entries[3] = {{0, CODE, 0xffff, LDT_CODE}, {1, STACK, 0xffff, LDT_DATA}, {2, DATA, 0xffff, LDT_DATA}};
  for (u32 i = 0; i < 3 && now != present; i++) {
    const struct ldt_entry none = {i, 0, 0, LDT_NONE};
    int why = call3(SYS_MODIFY_LDT, LDT_WRITE, (u32)(present ? &entries[i] : &none), sizeof none);
    if (why) return why;
  }
  now = present;
  return 0;
}

/* ---- Records ---- */

struct case_header {
  u32 size;
  u32 registers[8];
  u32 eip, eflags;
  u16 cs, ss, ds, es;
  u8 fx[FX_SIZE];
};
struct run { u32 address, length; };

enum { MAX_CASE = 64 * 1024, MAX_RESULT = 128 * 1024 };
static u8 input[1024 * 1024] __attribute__((aligned(16)));
static u8 output[1024 * 1024] __attribute__((aligned(16)));
static u32 input_at, input_end, output_end;

static void flush_output(void) {
  for (u32 done = 0; done < output_end;) {
    int n = call3(SYS_WRITE, 1, (u32)(output + done), output_end - done);
    if (n < 0 && n != -EINTR) exit_with(5, "host-cpu harness: nobody reads the results");
    if (n > 0) done += n;
  }
  output_end = 0;
}

static void need_input(u32 length) {
  if (input_end - input_at >= length) return;
  u32 left = input_end - input_at;
  memcpy(input, input + input_at, left); /* forwards, so the overlap is harmless */
  input_at = 0;
  input_end = left;
  flush_output(); /* nobody waits for us while we wait */
  while (input_end < length) {
    int n = call3(SYS_READ, 0, (u32)(input + input_end), sizeof input - input_end);
    if (n == -EINTR) continue;
    if (n <= 0) exit_with(n == 0 && input_end == 0 ? 0 : 5, n == 0 && input_end == 0 ? "" : "host-cpu harness: cut input");
    input_end += n;
  }
}

static void put_changes(const struct region *region) {
  const u8 *now = region->at, *before = region->before;
  for (u32 i = 0; i < region->size;) {
    if ((i & 3) == 0 && *(const u32 *)(now + i) == *(const u32 *)(before + i)) {
      i += 4;
      continue;
    }
    if (now[i] == before[i]) {
      i++;
      continue;
    }
    u32 start = i;
    while (i < region->size && now[i] != before[i]) i++;
    struct run run = {(u32)now + start, i - start};
    memcpy(output + output_end, &run, sizeof run);
    memcpy(output + output_end + sizeof run, now + start, run.length);
    output_end += sizeof run + run.length;
  }
}

static void prepare_case(const struct case_header *header) {
  reset_memory();
  const u8 *at = (const u8 *)(header + 1), *end = (const u8 *)header + header->size;
  while (at < end) {
    struct run run;
    if (end - at < (int)sizeof run) exit_with(4, "host-cpu harness: a cut patch");
    memcpy(&run, at, sizeof run);
    at += sizeof run;
    if (run.length > (u32)(end - at)) exit_with(4, "host-cpu harness: a cut patch");
    apply_patch(run.address, at, run.length);
    at += run.length;
  }
  for (u32 i = 0; i < 3; i++) memcpy(regions[i].before, regions[i].at, regions[i].size);
  memcpy(entry_fx, header->fx, FX_SIZE);
  const u32 *r = header->registers;
  entry_state = (struct state){r[7], r[6], r[5], 0, r[3], r[2], r[1], r[0], header->eflags, r[4], header->eip,
                               header->cs, header->ss, header->ds, header->es};
}

static void run_case(const struct case_header *header) {
  ticks = 0;
  if (set_segments((header->cs | header->ss | header->ds) & IN_LDT)) exit_with(2, "host-cpu harness: this system has no 16-bit segments");
  do {
    prepare_case(header);
    redo = 0;
    enter_case();
  } while (redo);
  if (sizeof output - output_end < MAX_RESULT) flush_output();
  u32 start = output_end;
  output_end += sizeof outcome;
  for (u32 i = 0; i < 3; i++) put_changes(&regions[i]);
  outcome.size = output_end - start;
  memcpy(output + start, &outcome, sizeof outcome);
}

/* ---- Start ---- */

static void cpuid(u32 leaf, u32 *eax_ebx_ecx_edx) {
  u32 *r = eax_ebx_ecx_edx;
  __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

/* First word on standard output: who answers. 4 magic, 4 version, 12 vendor, 4 signature, 48 brand, 4 whether cases can be 16-bit. */
static void greet(void) {
  u32 r[4], *to = (u32 *)output;
  *to++ = 0x55504348; /* "HCPU" */
  *to++ = 2;
  cpuid(0, r);
  *to++ = r[1];
  *to++ = r[3];
  *to++ = r[2];
  cpuid(1, r);
  *to++ = r[0];
  for (u32 leaf = 0x80000002; leaf <= 0x80000004; leaf++, to += 4) cpuid(leaf, to);
  *to++ = set_segments(IN_LDT) == 0;
  set_segments(0);
  output_end = (u8 *)to - output;
}

/* System calls are the harness's alone: one made by a case ends as SIGSYS (linux/seccomp.h, linux/filter.h). */
static void fence_system_calls(void) {
  struct filter filters[] = {{0x20, 0, 0, 8},                           /* A = instruction pointer, low half */
                             {0x35, 0, 2, (u32)__executable_start},     /* below the program: trap */
                             {0x35, 1, 0, (u32)etext},                  /* above its code: trap */
                             {0x06, 0, 0, 0x7fff0000},                  /* allow */
                             {0x06, 0, 0, 0x00030000}};                 /* trap */
  struct filter_program program = {5, filters};
  call6(SYS_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
  if (call6(SYS_PRCTL, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (u32)&program, 0, 0, 0))
    exit_with(2, "host-cpu harness: no seccomp filter");
}

/*
 * Takes away the stack that the kernel gave, to the end of a 32-bit process's address space (asm/page_types.h, IA32_PAGE_OFFSET): it lies
 * there at random and grows down by megabytes to where it is touched, so that cases with wild addresses would find memory in some runs.
 */
static void unmap_first_stack(u32 esp) {
  const u32 ADDRESS_SPACE_END = 0xffffe000, from = (esp & -PAGE) - 64 * PAGE;
  if (call3(SYS_MUNMAP, from, ADDRESS_SPACE_END - from, 0)) exit_with(2, "host-cpu harness: the first stack stays");
}

void harness_main(u32 first_esp) __attribute__((used));
void harness_main(u32 first_esp) {
  static const int caught[] = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGVTALRM, SIGSYS};
  struct alternate_stack stack = {signal_stack, 0, sizeof signal_stack};
  /* Processor time, not wall time: idle waiting costs no tick, and a busy machine makes no loop out of a slow case. */
  struct interval interval = {0, 50 * 1000, 0, 50 * 1000};
  unmap_first_stack(first_esp);
  if (call3(SYS_SIGALTSTACK, (u32)&stack, 0, 0)) exit_with(2, "host-cpu harness: no signal stack");
  for (u32 i = 0; i < sizeof caught / sizeof *caught; i++) catch_signal(caught[i]);
  set_up_memory();
  if (call3(SYS_SETITIMER, ITIMER_VIRTUAL, (u32)&interval, 0)) exit_with(2, "host-cpu harness: no timer");
  fence_system_calls();
  greet();
  for (;;) {
    need_input(4);
    u32 size = *(u32 *)(input + input_at);
    if (size < sizeof(struct case_header) || size > MAX_CASE) exit_with(4, "host-cpu harness: a record of absurd size");
    need_input(size);
    static u8 record[MAX_CASE] __attribute__((aligned(16)));
    memcpy(record, input + input_at, size);
    input_at += size;
    run_case((const struct case_header *)record);
  }
}
