/* Files and disks: in order, at random places, and with each write on the disk before the next. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "workloads.h"

enum { BLOCK = 4096, CHUNK = 65536, SIZE = 32 << 20 };

/* Aligned, as O_DIRECT wants it. */
static uint8_t buffer[CHUNK] __attribute__((aligned(BLOCK)));

static uint32_t place(uint32_t *seed, uint32_t places) {
  *seed ^= *seed << 13;
  *seed ^= *seed >> 17;
  *seed ^= *seed << 5;
  return *seed % places;
}

static uint32_t write_all(const char *path, int flags) {
  int file = open(path, O_WRONLY | flags, 0600);
  uint32_t sum = 0;
  if (file < 0) return 0;
  for (uint32_t i = 0; i < SIZE / CHUNK; i++) {
    for (int j = 0; j < CHUNK; j += BLOCK) buffer[j] = i + j / BLOCK;
    sum += i;
    if (write(file, buffer, CHUNK) != CHUNK) return 0;
  }
  return fsync(file) || close(file) ? 0 : sum;
}
static uint32_t read_all(const char *path, int flags, uint32_t rounds) {
  uint32_t sum = 1;
  for (uint32_t r = 0; r < rounds; r++) {
    int file = open(path, O_RDONLY | flags);
    if (file < 0) return 0;
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    for (uint32_t i = 0; i < SIZE / CHUNK; i++) {
      if (read(file, buffer, CHUNK) != CHUNK) return 0;
      for (int j = 0; j < CHUNK; j += BLOCK) sum += buffer[j];
    }
    close(file);
  }
  return sum;
}
static uint32_t read_random(const char *path, int flags) {
  int file = open(path, O_RDONLY | flags);
  uint32_t sum = 1, seed = 42;
  if (file < 0) return 0;
  posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  for (uint32_t i = times(6000); i > 0; i--) {
    if (pread(file, buffer, BLOCK, (off_t)place(&seed, SIZE / BLOCK) * BLOCK) != BLOCK) return 0;
    sum += buffer[0];
  }
  close(file);
  return sum;
}
static uint32_t write_synced(const char *path, int flags) {
  int file = open(path, O_WRONLY | O_DSYNC | flags, 0600);
  uint32_t seed = 43, count = 0;
  if (file < 0) return 0;
  for (uint32_t i = times(1500); i > 0; i--) count += pwrite(file, buffer, BLOCK, (off_t)place(&seed, SIZE / BLOCK) * BLOCK) == BLOCK;
  close(file);
  return count;
}

uint32_t run_seqwrite(const char *file) {
  uint32_t sum = 0;
  for (uint32_t i = times(4); i > 0; i--) sum += write_all(file, O_CREAT | O_TRUNC);
  return sum;
}
uint32_t run_seqread(const char *file) { return read_all(file, 0, times(8)); }
uint32_t run_randread(const char *file) { return read_random(file, 0); }
uint32_t run_syncwrite(const char *file) { return write_synced(file, 0); }
uint32_t run_rawwrite(const char *disk) {
  uint32_t sum = 0;
  for (uint32_t i = times(4); i > 0; i--) sum += write_all(disk, O_DIRECT);
  return sum;
}
uint32_t run_rawread(const char *disk) { return read_all(disk, O_DIRECT, times(8)); }
uint32_t run_rawrand(const char *disk) { return read_random(disk, O_DIRECT); }
uint32_t run_rawsync(const char *disk) { return write_synced(disk, O_DIRECT); }
