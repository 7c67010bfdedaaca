/* The C ABI of scheduling plugins, version 1: what a shared library exports so that a router of llmd can score or
 * filter endpoints with it. This header needs nothing else of llmd; examples/plugin has a plugin to start from.
 *
 * A library exports `llmd_plugin_entry`, which returns a table that stays valid while the library is loaded. The router
 * copies it, calls create() once for each plugin of the configuration that has the table's type, then score() or
 * filter() once a decision, and destroy() at the end. score(), filter() and reason() run on several threads at once
 * with the same instance. No function may throw, block, or keep pointers that it is given beyond the call.
 *
 * A call is part of the path of a request: it gets a budget of time, and a plugin that overruns it too often is called
 * no more. Version 1 grows only by members at the end of structs; who reads beyond those below checks the size that
 * comes with the struct. Anything else is version 2. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN(readability-identifier-naming): C names, as a C header has them. */

#define LLMD_PLUGIN_ABI_VERSION 1u

/* No endpoint, where an index of one is expected. */
#define LLMD_NO_ENDPOINT UINT32_MAX

/* llmd_plugin_v1::kind */
#define LLMD_PLUGIN_SCORER 1u
#define LLMD_PLUGIN_FILTER 2u

/* llmd_plugin_v1::reads: what of endpoints is filled in for the plugin. The rest is as if nothing were known. */
#define LLMD_READS_WAITING 0x001u
#define LLMD_READS_RUNNING 0x002u
#define LLMD_READS_KV_USAGE 0x004u     /* and kv_blocks, kv_block_tokens */
#define LLMD_READS_PREFIX_MATCH 0x008u /* matched_blocks */
#define LLMD_READS_INFLIGHT 0x010u
#define LLMD_READS_SIGNALS 0x040u
#define LLMD_READS_PREDICTIONS 0x080u
#define LLMD_READS_MEDIA 0x100u

/* llmd_endpoint_v1::health */
#define LLMD_HEALTH_UNKNOWN 0u
#define LLMD_HEALTH_READY 1u
#define LLMD_HEALTH_PROBING 2u
#define LLMD_HEALTH_DRAINING 3u
#define LLMD_HEALTH_DOWN 4u

/* Places in llmd_endpoint_v1::signals. */
#define LLMD_SIGNAL_CPU_USE 0u            /* 0..1 */
#define LLMD_SIGNAL_GPU_USE 1u            /* 0..1 */
#define LLMD_SIGNAL_MEMORY_USE 2u         /* 0..1 */
#define LLMD_SIGNAL_CACHE_HIT_RATIO 3u    /* 0..1 */
#define LLMD_SIGNAL_QUEUED_TOKENS 4u      /* prompt tokens that wait at the engine */
#define LLMD_SIGNAL_DECODE_TOKENS_LEFT 5u /* tokens that its running sequences will probably still make */
#define LLMD_SIGNAL_ERROR_RATE 6u         /* 0..1 of the requests of late */
#define LLMD_SIGNAL_LATENCY_MS 7u         /* round trip from the router */
#define LLMD_SIGNAL_BANDWIDTH_MBPS 8u     /* megabytes a second from the router */
#define LLMD_SIGNAL_PACKET_LOSS 9u        /* 0..1 */
#define LLMD_SIGNAL_COST_PER_MILLION_TOKENS 10u
#define LLMD_SIGNAL_JOULES_PER_TOKEN 11u
#define LLMD_SIGNAL_READY_SECONDS 12u /* for how long it has been ready */

/* One endpoint. A float that is NaN was never told, or too long ago. Texts are UTF-8 and end with NUL. */
typedef struct llmd_endpoint_v1 {
  const char* name; /* stable and unique */
  const char* url;
  const float* signals; /* llmd_input_v1::signals_count of them; NULL if none is read or known */
  uint64_t inflight_tokens;
  uint32_t inflight_requests; /* sent there by this router and not answered yet */
  uint32_t matched_blocks;    /* of llmd_request_v1::prefix_blocks, those that it probably has cached */
  uint32_t health;
  float waiting_requests; /* queued at the engine */
  float running_requests;
  float kv_usage; /* 0..1 */
  float kv_blocks;
  float kv_block_tokens;
  float predicted_ttft_ms; /* of this request */
  float predicted_tpot_ms;
  float media_matched; /* weight of the request's media that it has encoded */
} llmd_endpoint_v1;

/* The request. A float that is NaN was not given. */
typedef struct llmd_request_v1 {
  const char* request_id;
  const char* model;
  uint32_t prompt_tokens;
  uint32_t output_tokens_max; /* 0: not given */
  uint32_t prefix_blocks;
  uint32_t prefix_block_tokens;
  uint32_t media_items;
  int32_t priority; /* higher wins */
  float slo_ttft_ms;
  float slo_tpot_ms;
  uint8_t prompt_tokens_exact; /* 0: an estimate */
  uint8_t streaming;
  uint8_t reserved[6];
} llmd_request_v1;

/* What one call may look at. */
typedef struct llmd_input_v1 {
  uint32_t struct_size;   /* of this struct, as the router has it */
  uint32_t endpoint_size; /* of llmd_endpoint_v1 */
  uint32_t request_size;  /* of llmd_request_v1 */
  uint32_t signals_count;
  uint32_t endpoints_count;
  uint32_t peer; /* the endpoint that an earlier stage of the request chose, or LLMD_NO_ENDPOINT */
  double chance; /* uniform in [0, 1), drawn for this call: for choices at random */
  const llmd_request_v1* request;
  const llmd_endpoint_v1* const* endpoints; /* by index; NULL for those that are neither candidates nor the peer */
  /* The value of a request header that llmd_plugin_v1::headers_read names; NULL if the request has none. */
  const char* (*header)(const struct llmd_input_v1* input, const char* name);
  /* The value of a label of an endpoint; NULL if it has none. */
  const char* (*label)(const struct llmd_input_v1* input, uint32_t endpoint, const char* name);
} llmd_input_v1;

typedef struct llmd_plugin_v1 {
  uint32_t abi_version; /* LLMD_PLUGIN_ABI_VERSION */
  uint32_t struct_size; /* sizeof(llmd_plugin_v1) */
  uint32_t kind;
  uint32_t reads;
  const char* type;                /* as configurations name it: 1 to 64 of a-z, 0-9 and '-' */
  const char* const* headers_read; /* names of request headers, the last NULL, at most 32; NULL: none */
  /* Makes an instance of the parameters, a JSON object. NULL: it cannot, and `error` says why. */
  void* (*create)(const char* parameters_json, char* error, size_t error_size);
  void (*destroy)(void* instance);
  /* Of a scorer: sets scores[c] for candidates[c], 0..1, more is better; NaN (which is there before) says that nothing
   * is known of it. */
  void (*score)(void* instance, const llmd_input_v1* input, const uint32_t* candidates, size_t count, float* scores);
  /* Of a filter: sets keep[c] to 1 or 0 for each candidate. Any other value voids the whole answer. */
  void (*filter)(void* instance, const llmd_input_v1* input, const uint32_t* candidates, size_t count, uint8_t* keep);
  /* Of a filter, may be NULL: why filter() drops the endpoint, one clause for explanations. */
  void (*reason)(void* instance, const llmd_input_v1* input, uint32_t endpoint, char* text, size_t text_size);
} llmd_plugin_v1;

/* What a library exports under the name "llmd_plugin_entry". */
typedef const llmd_plugin_v1* (*llmd_plugin_entry_function)(void);
const llmd_plugin_v1* llmd_plugin_entry(void);

/* NOLINTEND(readability-identifier-naming) */

#ifdef __cplusplus
} /* extern "C" */
#endif
