/* A scheduling plugin of llmd in C, to start from: endpoints with few requests before a new one score high.
 *
 *   cc -shared -fPIC -I ../../src/core/scheduling/abi -o queue_depth_scorer.so queue_depth_scorer.c
 *
 * score = half / (half + n), where n is the larger of what waits at the engine and what this router has in flight
 * there. Parameters: {"halfScoreRequests": 8}, the number of requests that scores 0.5. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llmd_plugin_v1.h"

struct queue_depth {
  float half;
};

/* Real plugins use a JSON library; one number does without. */
static double read_half(const char* json) {
  static const char key[] = "\"halfScoreRequests\"";
  const char* at = strstr(json, key);
  if (at == NULL) return 8;
  at += sizeof(key) - 1;
  return strtod(at + strspn(at, " \t\r\n:"), NULL);
}

static void* create(const char* parameters_json, char* error, size_t error_size) {
  const double half = read_half(parameters_json);
  if (!(half > 0 && half <= 1e6)) {
    snprintf(error, error_size, "halfScoreRequests is %g; expected a number above 0 and up to 1000000", half);
    return NULL;
  }
  struct queue_depth* self = malloc(sizeof(*self));
  if (self == NULL) {
    snprintf(error, error_size, "out of memory");
    return NULL;
  }
  self->half = (float)half;
  return self;
}

static void destroy(void* instance) { free(instance); }

static void score(void* instance, const llmd_input_v1* input, const uint32_t* candidates, size_t count, float* scores) {
  const struct queue_depth* self = instance;
  for (size_t c = 0; c < count; ++c) {
    const llmd_endpoint_v1* endpoint = input->endpoints[candidates[c]];
    const float ours = (float)endpoint->inflight_requests;
    if (isnan(endpoint->waiting_requests)) continue; /* not told: the score stays NaN, which is no data */
    scores[c] = self->half / (self->half + (endpoint->waiting_requests > ours ? endpoint->waiting_requests : ours));
  }
}

const llmd_plugin_v1* llmd_plugin_entry(void) {
  static const llmd_plugin_v1 table = {.abi_version = LLMD_PLUGIN_ABI_VERSION,
                                       .struct_size = sizeof(llmd_plugin_v1),
                                       .kind = LLMD_PLUGIN_SCORER,
                                       .reads = LLMD_READS_WAITING | LLMD_READS_INFLIGHT,
                                       .type = "queue-depth-scorer",
                                       .create = create,
                                       .destroy = destroy,
                                       .score = score};
  return &table;
}
