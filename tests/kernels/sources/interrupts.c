/* Hardware interrupts: the 8259A pair, the 8254's channel 0, HLT, the shadows of STI and MOV SS, restart of strings. */
#include "lib.h"

#define TIMER 0x20

static volatile u32 ticks;
static volatile u32 tick_eip;
static volatile int once;

static void on_timer(struct frame *frame)
{
  ticks++;
  tick_eip = frame->eip;
  if (once) pic_mask_all();
  pic_eoi(0);
}

/* Waits with interrupts off until the timer asks for service. */
static void wait_for_request(void)
{
  while ((pic_irr(0) & 1) == 0) {
  }
}

/* Drops a request that is still there from an earlier test. */
static void arm(u16 divisor)
{
  pic_mask_all();
  pit_start(2, divisor);
  ticks = 0;
  once = 1;
  pic_unmask(0);
}

static void halting(void)
{
  once = 0;
  pit_start(2, 11932);
  pic_unmask(0);
  for (u32 i = 0; i < 10; i++) __asm__ volatile("sti\n hlt\n cli" : : : "memory");
  check("hlt-wakes", ticks >= 10 && ticks <= 20);
  pic_mask_all();
}

static void controllers(void)
{
  arm(2000);
  wait_for_request();
  print("ok pending irr=%x isr=%x\n", pic_irr(0) & 1u, pic_isr(0) & 1u);
  __asm__ volatile("sti\n nop\n nop\n cli");
  print("ok served ticks=%u isr=%x\n", ticks, pic_isr(0) & 1u);
  /* A masked line keeps its request, and delivers it when unmasked. */
  pic_mask_all();
  pit_start(2, 2000);
  ticks = 0;
  wait_for_request();
  __asm__ volatile("sti\n nop\n nop\n cli");
  print("ok masked ticks=%u\n", ticks);
  once = 1;
  pic_unmask(0);
  __asm__ volatile("sti\n nop\n nop\n cli");
  print("ok unmasked ticks=%u\n", ticks);
  pic_unmask(8);
  print("ok mask-registers %x %x\n", in8(0x21), in8(0xa1));
  pic_mask_all();
}

/* With a request pending, the first interruptible instruction border is where EIP points. */
u32 border;
#define SHADOW(name, text)                                                               \
  arm(2000);                                                                                       \
  wait_for_request();                                                                              \
  TRY("movl $7f, border\n" text "\n cli");                                                         \
  print("ok %s ticks=%u %s\n", name, ticks, ticks == 0 ? "none" : tick_eip == border ? "exact" : "elsewhere")

static void shadows(void)
{
  SHADOW("sti-nop", "sti\n nop\n 7: nop");
  SHADOW("sti-hlt", "sti\n hlt\n 7: nop");
  SHADOW("sti-cli", "sti\n cli\n 7: nop");
  /* A second STI while IF is set opens no new shadow. */
  SHADOW("sti-sti", "sti\n sti\n 7: nop\n nop");
  SHADOW("popf", "pushl $0x202\n popfl\n 7: nop");
  SHADOW("sti-mov-ds", "movw %ds, %ax\n sti\n movw %ax, %ds\n 7: nop");
  SHADOW("iret", "pushl $0x202\n pushl $0x08\n pushl $7f\n iretl\n nop\n 7: nop");
}

/* A string instruction is interrupted between repetitions, with registers that say how far it came, and goes on there. */
#define WORDS 0x100000u
static volatile u32 inside_ecx, inside_esi, inside_edi;
static void on_timer_in_string(struct frame *frame)
{
  if (frame->eip == border && frame->ecx > 0 && frame->ecx < WORDS) {
    inside_ecx = frame->ecx;
    inside_esi = frame->esi;
    inside_edi = frame->edi;
    pic_mask_all();
  }
  pic_eoi(0);
}
static void strings(void)
{
  u32 *from = (u32 *)0x01000000, *to = (u32 *)0x01400000;
  int ended = 1, same = 1;
  for (u32 i = 0; i < WORDS; i++) from[i] = i * 0x9e3779b9u;
  vector_handlers[TIMER] = on_timer_in_string;
  for (u32 attempt = 0; attempt < 50 && inside_ecx == 0; attempt++) {
    u32 *source = from, *destination = to;
    u32 left = WORDS;
    memset(to, 0, 4096);
    arm(600);
    __asm__ volatile("movl $7f, border\n sti\n cld\n 7: rep movsl\n cli"
                     : "+S"(source), "+D"(destination), "+c"(left)
                     :
                     : "memory");
    ended &= left == 0 && source == from + WORDS && destination == to + WORDS;
  }
  vector_handlers[TIMER] = on_timer;
  u32 done = WORDS - inside_ecx;
  check("rep-movs-interrupted", inside_ecx != 0);
  check("rep-movs-registers", inside_esi == (u32)(from + done) && inside_edi == (u32)(to + done));
  check("rep-movs-ended", ended);
  for (u32 i = 0; i < WORDS; i++) same &= to[i] == from[i];
  check("rep-movs-complete", same);
}

/* The clock's periodic interrupt comes through the slave: both controllers have it in service, and both want an end. */
#define RTC_A 0x0a
#define RTC_B 0x0b
#define RTC_C 0x0c
#define RTC_B_PIE 0x40
static volatile u32 clock_ticks, master_isr, slave_isr;
static u8 rtc_read(u8 index)
{
  out8(0x70, index | 0x80);
  return in8(0x71);
}
static void rtc_write(u8 index, u8 value)
{
  out8(0x70, index | 0x80);
  out8(0x71, value);
}
static void on_clock(struct frame *frame)
{
  clock_ticks++;
  master_isr = pic_isr(0);
  slave_isr = pic_isr(1);
  (void)rtc_read(RTC_C);
  pic_eoi(8);
}
static void slave(void)
{
  vector_handlers[0x28] = on_clock;
  rtc_write(RTC_A, 0x26);
  u8 old = rtc_read(RTC_B);
  rtc_write(RTC_B, old | RTC_B_PIE);
  (void)rtc_read(RTC_C);
  pic_mask_all();
  pic_unmask(8);
  while (clock_ticks < 3) __asm__ volatile("sti\n hlt\n cli" : : : "memory");
  pic_mask_all();
  rtc_write(RTC_B, old);
  (void)rtc_read(RTC_C);
  print("ok slave master-isr=%x slave-isr=%x after=%x,%x\n", master_isr, slave_isr, pic_isr(0), pic_isr(1));
}

/* A handler that finds nothing in service was called by a spurious request (or, here, by software) and sends no end. */
static volatile u32 spurious, spurious_isr;
static void on_line_7(struct frame *frame)
{
  spurious++;
  spurious_isr = pic_isr(0);
}
static void software_vectors(void)
{
  vector_handlers[0x27] = on_line_7;
  __asm__ volatile("int $0x27");
  print("ok line-7-by-software calls=%u in-service=%x\n", spurious, spurious_isr & 0x80);
}

/* A read of the counter goes down; mode 0 asks once. */
static void timer_modes(void)
{
  pic_mask_all();
  pit_start(0, 5000);
  ticks = 0;
  once = 0;
  pic_unmask(0);
  wait_for_request();
  __asm__ volatile("sti\n nop\n nop\n cli");
  print("ok one-shot ticks=%u again=%x\n", ticks, pic_irr(0) & 1u);
  pit_start(2, 0);
  out8(0x43, 0x00);
  u32 first = in8(0x40);
  first |= (u32)in8(0x40) << 8;
  for (u32 i = 0; i < 2000; i++) (void)in8(0x61);
  out8(0x43, 0x00);
  u32 second = in8(0x40);
  second |= (u32)in8(0x40) << 8;
  check("counter-runs", first != second);
}

void test_main(void)
{
  vector_handlers[TIMER] = on_timer;
  halting();
  controllers();
  shadows();
  strings();
  slave();
  software_vectors();
  timer_modes();
}
