/* The fault catcher: records what the processor pushed, and goes back to where the attempt began. */
#include "lib.h"

struct fault fault;
u32 fault_expected_eip;
u32 attempt_eip;
static int catching;
irq_handler vector_handlers[256];

static const char *const names[] = {
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9", "#TS", "#NP", "#SS", "#GP", "#PF", "#15", "#MF", "#AC",
};

static int has_error_code(u32 vector)
{
  return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

void on_vector(struct frame *frame)
{
  if (vector_handlers[frame->vector] != NULL) {
    vector_handlers[frame->vector](frame);
    return;
  }
  /* The frame ends early without a ring change, but the words above it are stack all the same. */
  fault.frame = *frame;
  fault.frame_address = (u32)&frame->eip;
  fault.cr2 = read_cr2();
  fault.happened = 1;
  if (catching) catch_resume();
  print("FAIL unexpected vector %u error %x eip %x cr2 %x\n", frame->vector, frame->error, frame->eip, fault.cr2);
  leave(2);
}

void run_kernel_at(u32 eip)
{
  fault.happened = 0;
  catching = 1;
  if (catch_begin() == 0) {
    call_preserving(eip);
    catch_end();
  }
  catching = 0;
}

void run_user_at(u32 eip, u32 eflags)
{
  fault.happened = 0;
  catching = 1;
  if (catch_begin() == 0) enter_user(eip, USER_STACK_TOP, eflags);
  catching = 0;
}

void enter_virtual(u32 eflags) __attribute__((noreturn));
void run_virtual_at(u32 eflags)
{
  fault.happened = 0;
  catching = 1;
  if (catch_begin() == 0) enter_virtual(eflags);
  catching = 0;
}

void report(const char *name)
{
  const struct frame *f = &fault.frame;
  print("ok %s ", name);
  if (!fault.happened) {
    print("none\n");
    return;
  }
  if (f->vector == USER_EXIT) {
    print("exit eax=%x\n", f->eax);
    return;
  }
  if (f->vector < COUNT(names)) {
    print("%s", names[f->vector]);
  } else {
    print("vector=%u", f->vector);
  }
  if (has_error_code(f->vector)) print("(%04x)", f->error);
  if (f->vector == 14) print(" cr2=%08x", fault.cr2);
  if (fault_expected_eip != 0) {
    if (f->eip == fault_expected_eip) {
      print(" eip=exact");
    } else {
      print(" eip=%s%x", f->eip > fault_expected_eip ? "+" : "-",
            f->eip > fault_expected_eip ? f->eip - fault_expected_eip : fault_expected_eip - f->eip);
    }
  }
  fault_expected_eip = 0;
  if ((f->cs & 3) != 0) print(" cpl=%u", f->cs & 3);
  print("\n");
}
