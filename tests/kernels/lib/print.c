/* Output on COM1 and the way out through isa-debug-exit. */
#include "lib.h"

#define COM1 0x3f8
#define COM1_IER (COM1 + 1)
#define COM1_FCR (COM1 + 2)
#define COM1_LCR (COM1 + 3)
#define COM1_MCR (COM1 + 4)
#define COM1_LSR (COM1 + 5)
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define DEBUG_EXIT 0xf4

static int failed;

void serial_init(void)
{
  out8(COM1_IER, 0);
  out8(COM1_LCR, 0x80);
  out8(COM1, 1);
  out8(COM1_IER, 0);
  out8(COM1_LCR, 3);
  out8(COM1_FCR, 0x07);
  out8(COM1_MCR, 3);
}

static void put(char c)
{
  while ((in8(COM1_LSR) & LSR_THRE) == 0) {
  }
  out8(COM1, (u8)c);
}

static void put_number(u32 value, u32 base, u32 width)
{
  char digits[12];
  u32 n = 0;
  do {
    digits[n++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  for (; width > n; width--) put('0');
  while (n > 0) put(digits[--n]);
}

void print(const char *format, ...)
{
  __builtin_va_list list;
  __builtin_va_start(list, format);
  for (const char *p = format; *p != 0; p++) {
    u32 width = 0;
    if (*p != '%') {
      put(*p);
      continue;
    }
    for (p++; *p >= '0' && *p <= '9'; p++) width = width * 10 + (u32)(*p - '0');
    if (*p == 'x') put_number(__builtin_va_arg(list, u32), 16, width);
    if (*p == 'u') put_number(__builtin_va_arg(list, u32), 10, width);
    if (*p == 'c') put((char)__builtin_va_arg(list, int));
    if (*p == 'd') {
      int value = __builtin_va_arg(list, int);
      if (value < 0) put('-');
      put_number(value < 0 ? 0u - (u32)value : (u32)value, 10, width);
    }
    if (*p == 's')
      for (const char *s = __builtin_va_arg(list, const char *); *s != 0; s++) put(*s);
  }
  __builtin_va_end(list);
}

void check(const char *name, int holds)
{
  if (!holds) failed = 1;
  print("%s %s\n", holds ? "ok" : "FAIL", name);
}

void leave(u32 status)
{
  while ((in8(COM1_LSR) & LSR_TEMT) == 0) {
  }
  out8(DEBUG_EXIT, (u8)(status != 0 ? status : (u32)failed));
  for (;;) __asm__ volatile("cli\n hlt");
}

void *memset(void *to, int value, u32 length)
{
  for (u32 i = 0; i < length; i++) ((volatile u8 *)to)[i] = (u8)value;
  return to;
}

void *memcpy(void *to, const void *from, u32 length)
{
  for (u32 i = 0; i < length; i++) ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
  return to;
}

int memcmp(const void *a, const void *b, u32 length)
{
  for (u32 i = 0; i < length; i++)
    if (((const u8 *)a)[i] != ((const u8 *)b)[i]) return ((const u8 *)a)[i] - ((const u8 *)b)[i];
  return 0;
}
