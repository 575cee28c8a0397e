/* A libnvidia-ml.so.1 that answers what pynvml asks, so that its true ctypes path runs without a card.
 *
 * Eight cards. gpu3 supports next to nothing; gpu5 has MIG on with two instances; gpu6 falls off the bus after
 * STUB_LOST_AFTER calls for its power; gpu7's energy counter starts again after each 4 readings. STUB_DRIVER=none makes
 * the driver absent. Each energy reading moves on by 250 J.
 *
 * A file named by STUB_CONTROL changes things while a process runs; each word in it holds while it is there:
 * unload (the driver's handles are worth nothing until the next nvmlInit), hang (a reading doesn't come back), nomig
 * (gpu5's instances were taken down), dead (gpu2 cannot even be asked for its handle), odd (gpu1's power is an unknown
 * error), none (no card), noenergy (counters fail this once), spare (gpu0 waits for a spare row of memory).
 */
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>

#define CARDS 8
#define OK 0
#define INVALID 2
#define NOT_SUPPORTED 3
#define NO_DRIVER 9
#define TIMEOUT 10
#define SMALL 7
#define LOST 15
#define UNINITIALIZED 1
#define UNKNOWN 999

typedef struct card { int index; int instance; } card;
static card cards[CARDS];
static card instances[2] = {{5, 0}, {5, 1}};
static int power_calls[CARDS], energy_calls[CARDS], events_left;

static int is_unloaded;
static int told(const char *word) {
  const char *path = getenv("STUB_CONTROL");
  char text[256] = "";
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) return 0;
  text[fread(text, 1, 255, file)] = 0;
  fclose(file);
  return strstr(text, word) != NULL;
}
static int lost(card *one) {
  if (told("unload")) is_unloaded = 1;
  while (told("hang")) usleep(20000);
  const char *after = getenv("STUB_LOST_AFTER");
  return one->index == 6 && after && power_calls[6] > atoi(after);
}
static int poor(card *one) { return one->index == 3; }
#define HERE(one) if (lost(one)) return LOST; if (is_unloaded) return UNINITIALIZED; if (one->index == 2 && told("dead")) return LOST;
#define RICH(one) HERE(one) if (poor(one)) return NOT_SUPPORTED;
#define CARD(one) RICH(one) if ((one)->instance >= 0) return NOT_SUPPORTED;

int nvmlInitWithFlags(unsigned flags) {
  const char *driver = getenv("STUB_DRIVER");
  if ((driver && !strcmp(driver, "none")) || told("unload")) return NO_DRIVER;
  is_unloaded = 0;
  for (int i = 0; i < CARDS; i++) { cards[i].index = i; cards[i].instance = -1; }
  events_left = 1;
  return OK;
}
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { return code == NO_DRIVER ? "Driver Not Loaded" : "an error of the stub"; }
int nvmlSystemGetDriverVersion(char *text, unsigned length) { snprintf(text, length, "570.86.10"); return OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = told("none") ? 0 : CARDS; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, card **one) {
  *one = &cards[index]; return index == 2 && told("dead") ? LOST : OK;
}
int nvmlDeviceGetName(card *one, char *text, unsigned length) {
  HERE(one) snprintf(text, length, "%s", one->instance >= 0 ? "NVIDIA H100 MIG 3g.40gb" : "NVIDIA H100"); return OK;
}
int nvmlDeviceGetUUID(card *one, char *text, unsigned length) {
  HERE(one)
  if (one->instance >= 0) snprintf(text, length, "MIG-%d-%d", one->index, one->instance);
  else snprintf(text, length, "GPU-%d", one->index);
  return OK;
}
int nvmlDeviceGetSerial(card *one, char *text, unsigned length) { CARD(one) snprintf(text, length, "S%d", one->index); return OK; }
int nvmlDeviceGetUtilizationRates(card *one, unsigned *rates) {
  CARD(one) rates[0] = 10 * one->index; rates[1] = 5; return OK;
}
int nvmlDeviceGetMemoryInfo(card *one, unsigned long long *memory) {
  HERE(one)
  memory[0] = (one->instance >= 0 ? 40ull : 80ull) << 30; memory[2] = (unsigned long long)(one->index + 1) << 30;
  memory[1] = memory[0] - memory[2]; return OK;
}
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
int nvmlDeviceGetMemoryInfo_v2(card *one, memory_v2 *memory) {
  RICH(one)
  if (memory->version != 0x02000028) return 25;
  memory->total = (one->instance >= 0 ? 40ull : 80ull) << 30; memory->reserved = 600ull << 20;
  memory->used = ((unsigned long long)(one->index + 1) << 30) - memory->reserved;
  memory->free = memory->total - memory->reserved - memory->used; return OK;
}
int nvmlDeviceGetRemappedRows(card *one, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
  CARD(one) *corrected = *uncorrected = *failed = 0; *pending = one->index == 0 && told("spare"); return OK;
}
int nvmlDeviceGetPowerUsage(card *one, unsigned *milliwatts) {
  if (one->instance < 0) power_calls[one->index]++;
  CARD(one)
  if (one->index == 1 && told("odd")) return UNKNOWN;
  *milliwatts = 100000 + 1000 * one->index; return OK;
}
int nvmlDeviceGetEnforcedPowerLimit(card *one, unsigned *milliwatts) { CARD(one) *milliwatts = 700000; return OK; }
int nvmlDeviceGetTotalEnergyConsumption(card *one, unsigned long long *millijoules) {
  CARD(one)
  int call = ++energy_calls[one->index];
  if (one->index == 7) call = call % 4;
  if (one->index == 2) return NOT_SUPPORTED;
  if (told("noenergy")) return UNKNOWN;
  *millijoules = 1000000ull + 250000ull * call; return OK;
}
int nvmlDeviceGetTemperature(card *one, unsigned sensor, unsigned *celsius) { RICH(one) *celsius = 40 + one->index; return OK; }
int nvmlDeviceGetClockInfo(card *one, unsigned clock, unsigned *mhz) { CARD(one) *mhz = 1000 + clock; return OK; }
int nvmlDeviceGetPowerState(card *one, unsigned *state) { CARD(one) *state = one->index == 0 ? 8 : 0; return OK; }
int nvmlDeviceGetCurrentClocksEventReasons(card *one, unsigned long long *reasons) {
  CARD(one) *reasons = one->index == 1 ? 0x4 | 0x40 : 0x1; return OK;
}
int nvmlDeviceGetTotalEccErrors(card *one, unsigned kind, unsigned counter, unsigned long long *count) {
  CARD(one) *count = kind == 1 && one->index == 4 ? 2 : 0; return OK;
}
int nvmlDeviceGetEncoderUtilization(card *one, unsigned *share, unsigned *period) { CARD(one) *share = 0; *period = 1; return OK; }
int nvmlDeviceGetDecoderUtilization(card *one, unsigned *share, unsigned *period) { CARD(one) *share = 0; *period = 1; return OK; }
int nvmlDeviceGetPcieThroughput(card *one, unsigned way, unsigned *kib_per_s) { CARD(one) *kib_per_s = way ? 2048 : 1024; return OK; }

typedef struct { unsigned field, scope; long long stamp, latency; unsigned type; int result; unsigned long long value; } field_value;
int nvmlDeviceGetFieldValues(card *one, int count, field_value *values) {
  CARD(one)
  for (int i = 0; i < count; i++) {
    values[i].type = 3;
    values[i].result = values[i].field == 82 ? NOT_SUPPORTED : OK;
    /* each of four links, or all of them */
    values[i].value = (values[i].field == 138 ? 1024 : 2048) * (values[i].scope == 0xffffffffu ? 4 : 1);
  }
  return OK;
}

typedef struct { unsigned pid; unsigned long long memory; unsigned instance, compute; } process;
int nvmlDeviceGetComputeRunningProcesses_v3(card *one, unsigned *count, process *found) {
  RICH(one)
  const char *pid = getenv("STUB_PID");
  unsigned want = one->index == 0 ? 2 : 0;
  if (*count < want) { *count = want; return SMALL; }
  *count = want;
  for (unsigned i = 0; i < want; i++) {
    found[i].pid = pid ? (unsigned)atoi(pid) + i * 1000000 : 4000000 + i;
    found[i].memory = i ? ~0ull : 512ull << 20;
  }
  return OK;
}
typedef struct { unsigned pid; unsigned long long stamp; unsigned sm, memory, encoder, decoder; } share;
int nvmlDeviceGetProcessUtilization(card *one, share *found, unsigned *count, unsigned long long since) {
  CARD(one)
  if (!told("busy")) return 6; /* not found: no process did anything */
  if (*count < 2) { *count = 2; return SMALL; }
  *count = 2;
  for (unsigned i = 0; i < 2; i++) {
    share newest_first = {4000000, 20 - i, i ? 10 : 60, 0, 0, 0};
    found[i] = newest_first;
  }
  return OK;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(card *one, unsigned *count, process *found) { RICH(one) *count = 0; return OK; }
int nvmlDeviceGetMigMode(card *one, unsigned *now, unsigned *pending) {
  CARD(one) *now = *pending = one->index == 5 && !told("nomig"); return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(card *one, unsigned *count) { *count = 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(card *one, unsigned index, card **instance) {
  if (index > 1) return 6;
  *instance = &instances[index]; return OK;
}

typedef struct { card *one; unsigned long long type, data; unsigned instance, compute; } event;
int nvmlEventSetFree(void *set) { return OK; }
int nvmlEventSetCreate(void **set) { *set = &events_left; return OK; }
int nvmlDeviceRegisterEvents(card *one, unsigned long long types, void *set) { return poor(one) ? NOT_SUPPORTED : OK; }
int nvmlEventSetWait_v2(void *set, event *found, unsigned timeout) {
  if (events_left-- <= 0) return TIMEOUT;
  found->one = &cards[4]; found->type = 8; found->data = 79; return OK;
}
