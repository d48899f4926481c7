/* Five bodies under gravity, for x87 (-DNAME=nbody_x87 -mfpmath=387) and for SSE2 (-DNAME=nbody_sse -mfpmath=sse -DSIMD). */
#include <math.h>

enum { BODIES = 5, AXES = 3 };

double NAME(int steps) {
  double p[BODIES][AXES] = {{0, 0, 0}, {4.84, -1.16, -0.10}, {8.34, 4.12, -0.4}, {12.89, -15.11, -0.22}, {15.37, -25.9, 0.17}};
  double v[BODIES][AXES] = {{0}};
  const double mass[BODIES] = {39.47, 0.037, 0.011, 0.0017, 0.002};
  for (int i = 1; i < BODIES; i++) {
    v[i][0] = 0.6 * i;
    v[i][1] = 2.8 / i;
    v[i][2] = -0.02;
  }
  for (int step = 0; step < steps; step++) {
    for (int i = 0; i < BODIES; i++)
      for (int j = i + 1; j < BODIES; j++) {
        double d[AXES], square = 0;
        for (int k = 0; k < AXES; k++) {
          d[k] = p[i][k] - p[j][k];
          square += d[k] * d[k];
        }
        double pull = 0.001 / (square * sqrt(square));
        for (int k = 0; k < AXES; k++) {
          v[i][k] -= d[k] * mass[j] * pull;
          v[j][k] += d[k] * mass[i] * pull;
        }
      }
    for (int i = 0; i < BODIES; i++)
      for (int k = 0; k < AXES; k++) p[i][k] += 0.001 * v[i][k];
  }
  double sum = 0;
  for (int i = 0; i < BODIES; i++)
    for (int k = 0; k < AXES; k++) sum += fabs(p[i][k]) * 0.001;
  return sum;
}

#ifdef SIMD
float saxpy_sse(int rounds) {
  enum { COUNT = 65536 };
  static float x[COUNT], y[COUNT];
  for (int i = 0; i < COUNT; i++) x[i] = i & 15, y[i] = 1;
  for (int r = 0; r < rounds; r++) {
    float a = 1.0f / (1 + (r & 7));
    for (int i = 0; i < COUNT; i++) y[i] = y[i] * 0.5f + a * x[i];
  }
  float sum = 0;
  for (int i = 0; i < COUNT; i++) sum += y[i];
  return sum;
}
#endif
