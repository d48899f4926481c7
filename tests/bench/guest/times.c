#include <stdlib.h>
#include "times.h"

uint32_t times(uint32_t full) {
  const char *text = getenv("SCALE");
  uint32_t scale = text ? strtoul(text, 0, 10) : 1;
  uint32_t count = scale > 1 ? full / scale : full;
  return count ? count : 1;
}
