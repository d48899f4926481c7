/* The 8259A pair and the 8254's channel 0. */
#include "lib.h"

#define PIC_MASTER 0x20
#define PIC_SLAVE 0xa0
#define ICW1_INIT_ICW4 0x11
#define ICW4_8086 0x01
#define OCW2_EOI 0x20
#define OCW3_READ_IRR 0x0a
#define OCW3_READ_ISR 0x0b
#define PIT_CHANNEL0 0x40
#define PIT_CONTROL 0x43

void pic_init(void)
{
  out8(PIC_MASTER, ICW1_INIT_ICW4);
  out8(PIC_SLAVE, ICW1_INIT_ICW4);
  out8(PIC_MASTER + 1, 0x20);
  out8(PIC_SLAVE + 1, 0x28);
  out8(PIC_MASTER + 1, 1 << 2);
  out8(PIC_SLAVE + 1, 2);
  out8(PIC_MASTER + 1, ICW4_8086);
  out8(PIC_SLAVE + 1, ICW4_8086);
  pic_mask_all();
}

void pic_mask_all(void)
{
  out8(PIC_MASTER + 1, 0xff);
  out8(PIC_SLAVE + 1, 0xff);
}

void pic_unmask(int line)
{
  u16 port = line < 8 ? PIC_MASTER + 1 : PIC_SLAVE + 1;
  out8(port, in8(port) & (u8) ~(1 << (line & 7)));
  if (line >= 8) out8(PIC_MASTER + 1, in8(PIC_MASTER + 1) & (u8) ~(1 << 2));
}

void pic_eoi(int line)
{
  if (line >= 8) out8(PIC_SLAVE, OCW2_EOI);
  out8(PIC_MASTER, OCW2_EOI);
}

static u8 pic_read(int slave, u8 command)
{
  u16 port = slave ? PIC_SLAVE : PIC_MASTER;
  out8(port, command);
  return in8(port);
}

u8 pic_isr(int slave)
{
  return pic_read(slave, OCW3_READ_ISR);
}

u8 pic_irr(int slave)
{
  return pic_read(slave, OCW3_READ_IRR);
}

void pit_start(int mode, u16 divisor)
{
  out8(PIT_CONTROL, (u8)(0x30 | mode << 1));
  out8(PIT_CHANNEL0, (u8)divisor);
  out8(PIT_CHANNEL0, (u8)(divisor >> 8));
}
