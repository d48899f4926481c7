/* How much the workloads of the suites do. */
#pragma once
#include <stdint.h>

/* How often something is done, divided by the scale that the environment variable SCALE gives. */
uint32_t times(uint32_t full);
