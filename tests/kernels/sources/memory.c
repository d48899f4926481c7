/* What the boot loader tells: magic, command line, memory sizes and map; and that RAM is there as promised. */
#include "lib.h"

#define INFO_MEMORY 1u
#define INFO_COMMAND_LINE 4u
#define INFO_MAP 0x40u

struct map_entry {
  u32 size;
  u64 address, length;
  u32 type;
} __attribute__((packed));

static int a20_is_on(void)
{
  volatile u32 *low = (u32 *)0x500, *high = (u32 *)0x100500;
  u32 old_low = *low, old_high = *high;
  *low = 0x11111111;
  *high = 0x22222222;
  int on = *low == 0x11111111;
  *high = old_high;
  *low = old_low;
  return on;
}

void test_main(void)
{
  check("multiboot-magic", multiboot_magic == 0x2badb002);
  check("cr0-pe-set-pg-clear", (read_cr0() & (CR0_PE | CR0_PG)) == CR0_PE);
  check("a20-on", a20_is_on());
  check("info-has-memory", (multiboot_info[0] & INFO_MEMORY) != 0);
  print("ok mem-lower %u\n", multiboot_info[1]);
  check("info-has-command-line", (multiboot_info[0] & INFO_COMMAND_LINE) != 0);
  check("info-has-map", (multiboot_info[0] & INFO_MAP) != 0);
  u32 end = multiboot_info[12] + multiboot_info[11];
  u64 usable_high = 0;
  int in_order = 1;
  u64 last = 0;
  for (u32 at = multiboot_info[12]; at < end; at += ((struct map_entry *)at)->size + 4) {
    struct map_entry *entry = (struct map_entry *)at;
    if (entry->address < last) in_order = 0;
    last = entry->address + entry->length;
    if (entry->type != 1) continue;
    if (entry->address == 0) print("ok conventional %x\n", (u32)entry->length);
    if (entry->address == 0x100000) usable_high = entry->length;
  }
  check("map-in-order", in_order);
  /* Firmware may keep a little of the top for itself; the loader's two figures must agree all the same. */
  check("high-memory-about-31-mib", usable_high > 30u << 20 && usable_high <= 31u << 20);
  u32 upper = multiboot_info[2], high_kib = (u32)(usable_high >> 10);
  check("mem-upper-matches-map", upper == high_kib || upper == high_kib - 1 || upper + 1 == high_kib);
  u32 top = 0x100000 + (u32)usable_high - 4;
  volatile u32 *word = (u32 *)top;
  *word = 0x5aa5f00f;
  check("last-word-of-ram", *word == 0x5aa5f00f);
}
