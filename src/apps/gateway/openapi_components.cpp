#include "apps/gateway/openapi_parts.h"

namespace llmd::gateway {

const std::string_view kOpenApiComponents = R"json( "components": {
  "securitySchemes": {
   "bearer": {"type": "http", "scheme": "bearer"},
   "key": {"type": "apiKey", "in": "header", "name": "x-api-key"}
  },
  "responses": {
   "BadRequest": {
    "description": "Malformed, out of range, not supported by the model, or too long for it",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   },
   "Unauthorized": {
    "description": "The bearer key is missing or wrong",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   },
   "NotFound": {
    "description": "No such model",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   },
   "MethodNotAllowed": {
    "description": "See the Allow header",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   },
   "RequestTimeout": {
    "description": "The client was too slow",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   },
   "BodyTooLarge": {
    "description": "Beyond the limit of bytes",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   },
   "UnsupportedMediaType": {
    "description": "Not application/json",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   },
   "HeaderTooLarge": {
    "description": "Beyond the limit of bytes",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   },
   "Overloaded": {
    "description": "A queue is full; see Retry-After",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   },
   "Unavailable": {
    "description": "No endpoint can serve it now; see Retry-After",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   },
   "MessagesFailure": {
    "description": "As Anthropic's API says it",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MessageError"}}}
   },
   "Timeout": {
    "description": "No endpoint answered in time",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
   }
  },
  "schemas": {
)json";

const std::string_view kOpenApiSchemas = R"json(   "ChatCompletionRequest": {
    "type": "object",
    "required": ["messages"],
    "properties": {
     "messages": {
      "type": "array",
      "items": {"$ref": "#/components/schemas/Message"},
      "minItems": 1,
      "maxItems": 4096
     },
     "tools": {
      "type": ["array", "null"],
      "items": {"$ref": "#/components/schemas/Tool"},
      "maxItems": 128
     },
     "tool_choice": {
      "oneOf": [
       {"type": "null"},
       {"enum": ["auto", "none", "required"]},
       {
        "type": "object",
        "required": ["type", "function"],
        "properties": {
         "type": {"const": "function"},
         "function": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
        }
       }
      ]
     },
     "parallel_tool_calls": {"type": ["boolean", "null"]},
     "modalities": {"type": ["array", "null"], "items": {"const": "text"}},
     "add_generation_prompt": {"type": ["boolean", "null"]},
     "continue_final_message": {"type": ["boolean", "null"]},
     "chat_template_kwargs": {"type": ["object", "null"]},
     "model": {
      "type": ["string", "null"],
      "maxLength": 256,
      "description": "A name of /v1/models; absent, null, empty or default: the first model"
     },
     "max_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 16777216},
     "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 16777216},
     "min_tokens": {"type": ["integer", "null"], "minimum": 0, "maximum": 16777216},
     "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
     "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
     "top_k": {"type": ["integer", "null"], "minimum": -1, "maximum": 1000000},
     "min_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
     "typical_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
     "repetition_penalty": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 100},
     "frequency_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
     "presence_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
     "seed": {
      "type": ["integer", "null"],
      "minimum": -9223372036854775808,
      "maximum": 18446744073709551615
     },
     "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
     "best_of": {"type": ["integer", "null"], "minimum": 1, "maximum": 128, "description": "Equal to n"},
     "stop": {
      "oneOf": [
       {"type": "null"},
       {"type": "string", "maxLength": 256},
       {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 256},
        "maxItems": 16
       }
      ]
     },
     "stream": {"type": ["boolean", "null"]},
     "stream_options": {
      "type": ["object", "null"],
      "properties": {"include_usage": {"type": ["boolean", "null"]}},
      "description": "Only with stream"
     },
     "logit_bias": {
      "type": ["object", "null"],
      "propertyNames": {"pattern": "^[0-9]{1,9}$"},
      "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
      "maxProperties": 1024
     },
     "ignore_eos": {"type": ["boolean", "null"]},
     "priority": {
      "type": ["integer", "null"],
      "minimum": -1000000,
      "maximum": 1000000,
      "description": "Lower is earlier"
     },
     "cache_salt": {"type": ["string", "null"], "maxLength": 256},
     "user": {"type": ["string", "null"], "maxLength": 256},
     "response_format": {
      "type": ["object", "null"],
      "required": ["type"],
      "properties": {
       "type": {"enum": ["text", "json_object", "json_schema"]},
       "json_schema": {"type": "object"}
      }
     },
     "structured_outputs": {"type": ["object", "null"]},
     "guided_json": {"type": ["object", "string", "null"]},
     "guided_grammar": {"type": ["string", "null"], "minLength": 1},
     "guided_choice": {
      "type": ["array", "null"],
      "items": {"type": "string", "minLength": 1},
      "minItems": 1,
      "maxItems": 1024
     },
     "logprobs": {"type": ["boolean", "null"]},
     "top_logprobs": {
      "type": ["integer", "null"],
      "minimum": 0,
      "maximum": 20,
      "description": "Only with logprobs"
     }
    }
   },
   "Message": {
    "type": "object",
    "required": ["role"],
    "properties": {
     "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
     "content": {
      "oneOf": [
       {"type": "null"},
       {"type": "string"},
       {
        "type": "array",
        "items": {
         "type": "object",
         "required": ["type", "text"],
         "properties": {"type": {"const": "text"}, "text": {"type": "string"}}
        }
       }
      ]
     },
     "name": {"type": ["string", "null"], "maxLength": 256},
     "tool_call_id": {"type": ["string", "null"], "maxLength": 256, "description": "Of role tool: required"},
     "tool_calls": {
      "type": ["array", "null"],
      "items": {
       "type": "object",
       "required": ["function"],
       "properties": {
        "id": {"type": "string", "maxLength": 256},
        "type": {"const": "function"},
        "function": {
         "type": "object",
         "required": ["name"],
         "properties": {"name": {"type": "string"}, "arguments": {"type": "string"}}
        }
       }
      }
     }
    }
   },
   "Tool": {
    "type": "object",
    "required": ["type", "function"],
    "properties": {
     "type": {"const": "function"},
     "function": {
      "type": "object",
      "required": ["name"],
      "properties": {
       "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
       "description": {"type": ["string", "null"]},
       "parameters": {"type": ["object", "null"]}
      }
     }
    }
   },
   "CompletionRequest": {
    "type": "object",
    "required": ["prompt"],
    "properties": {
     "prompt": {
      "oneOf": [
       {"type": "string"},
       {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 256},
       {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 2147483647},
        "minItems": 1
       },
       {
        "type": "array",
        "items": {
         "type": "array",
         "items": {"type": "integer", "minimum": 0, "maximum": 2147483647},
         "minItems": 1
        },
        "minItems": 1,
        "maxItems": 256
       }
      ]
     },
     "model": {
      "type": ["string", "null"],
      "maxLength": 256,
      "description": "A name of /v1/models; absent, null, empty or default: the first model"
     },
     "max_tokens": {
      "type": ["integer", "null"],
      "minimum": 0,
      "maximum": 16777216,
      "description": "0 only with echo"
     },
     "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 16777216},
     "min_tokens": {"type": ["integer", "null"], "minimum": 0, "maximum": 16777216},
     "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
     "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
     "top_k": {"type": ["integer", "null"], "minimum": -1, "maximum": 1000000},
     "min_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
     "typical_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
     "repetition_penalty": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 100},
     "frequency_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
     "presence_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
     "seed": {
      "type": ["integer", "null"],
      "minimum": -9223372036854775808,
      "maximum": 18446744073709551615
     },
     "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
     "best_of": {"type": ["integer", "null"], "minimum": 1, "maximum": 128, "description": "Equal to n"},
     "stop": {
      "oneOf": [
       {"type": "null"},
       {"type": "string", "maxLength": 256},
       {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 256},
        "maxItems": 16
       }
      ]
     },
     "stream": {"type": ["boolean", "null"]},
     "stream_options": {
      "type": ["object", "null"],
      "properties": {"include_usage": {"type": ["boolean", "null"]}},
      "description": "Only with stream"
     },
     "logit_bias": {
      "type": ["object", "null"],
      "propertyNames": {"pattern": "^[0-9]{1,9}$"},
      "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
      "maxProperties": 1024
     },
     "ignore_eos": {"type": ["boolean", "null"]},
     "priority": {
      "type": ["integer", "null"],
      "minimum": -1000000,
      "maximum": 1000000,
      "description": "Lower is earlier"
     },
     "cache_salt": {"type": ["string", "null"], "maxLength": 256},
     "user": {"type": ["string", "null"], "maxLength": 256},
     "response_format": {
      "type": ["object", "null"],
      "required": ["type"],
      "properties": {
       "type": {"enum": ["text", "json_object", "json_schema"]},
       "json_schema": {"type": "object"}
      }
     },
     "structured_outputs": {"type": ["object", "null"]},
     "guided_json": {"type": ["object", "string", "null"]},
     "guided_grammar": {"type": ["string", "null"], "minLength": 1},
     "guided_choice": {
      "type": ["array", "null"],
      "items": {"type": "string", "minLength": 1},
      "minItems": 1,
      "maxItems": 1024
     },
     "echo": {"type": ["boolean", "null"]},
     "suffix": {"type": ["string", "null"]},
     "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20}
    }
   },
   "EmbeddingRequest": {
    "type": "object",
    "required": ["input"],
    "properties": {
     "input": {
      "oneOf": [
       {"type": "string"},
       {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 256},
       {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 2147483647},
        "minItems": 1
       },
       {
        "type": "array",
        "items": {
         "type": "array",
         "items": {"type": "integer", "minimum": 0, "maximum": 2147483647},
         "minItems": 1
        },
        "minItems": 1,
        "maxItems": 256
       }
      ]
     },
     "model": {"type": ["string", "null"], "maxLength": 256},
     "user": {"type": ["string", "null"], "maxLength": 256},
     "encoding_format": {"enum": ["float", "base64", null]},
     "dimensions": {"type": ["integer", "null"], "minimum": 1}
    }
   },
   "TokenizeRequest": {
    "type": "object",
    "properties": {
     "prompt": {"type": "string", "description": "This or messages"},
     "model": {"type": ["string", "null"], "maxLength": 256},
     "messages": {
      "type": "array",
      "items": {"$ref": "#/components/schemas/Message"},
      "minItems": 1,
      "maxItems": 4096
     },
     "tools": {
      "type": ["array", "null"],
      "items": {"$ref": "#/components/schemas/Tool"},
      "maxItems": 128
     },
     "add_generation_prompt": {"type": ["boolean", "null"]},
     "continue_final_message": {"type": ["boolean", "null"]},
     "chat_template_kwargs": {"type": ["object", "null"]},
     "add_special_tokens": {"type": ["boolean", "null"]},
     "return_token_strs": {"type": ["boolean", "null"]}
    }
   },
   "DetokenizeRequest": {
    "type": "object",
    "required": ["tokens"],
    "properties": {
     "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}},
     "model": {"type": ["string", "null"], "maxLength": 256}
    }
   },
   "ChatCompletion": {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
     "id": {"type": "string"},
     "object": {"type": "string"},
     "created": {"type": "integer"},
     "model": {"type": "string"},
     "choices": {
      "type": "array",
      "items": {
       "type": "object",
       "required": ["index", "message", "finish_reason"],
       "properties": {
        "index": {"type": "integer"},
        "message": {"type": "object", "required": ["role"]},
        "logprobs": {"type": ["object", "null"]},
        "finish_reason": {"type": ["string", "null"]}
       }
      }
     },
     "usage": {"$ref": "#/components/schemas/Usage"}
    }
   },
   "Completion": {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
     "id": {"type": "string"},
     "object": {"type": "string"},
     "created": {"type": "integer"},
     "model": {"type": "string"},
     "choices": {
      "type": "array",
      "items": {
       "type": "object",
       "required": ["index", "text", "finish_reason"],
       "properties": {
        "index": {"type": "integer"},
        "text": {"type": "string"},
        "logprobs": {"type": ["object", "null"]},
        "finish_reason": {"type": ["string", "null"]}
       }
      }
     },
     "usage": {"$ref": "#/components/schemas/Usage"}
    }
   },
   "Embeddings": {
    "type": "object",
    "required": ["object", "data", "model", "usage"],
    "properties": {
     "object": {"const": "list"},
     "model": {"type": "string"},
     "usage": {"$ref": "#/components/schemas/Usage"},
     "data": {
      "type": "array",
      "items": {
       "type": "object",
       "required": ["object", "index", "embedding"],
       "properties": {
        "object": {"const": "embedding"},
        "index": {"type": "integer"},
        "embedding": {"oneOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]}
       }
      }
     }
    }
   },
   "Tokens": {
    "type": "object",
    "required": ["count", "max_model_len", "tokens"],
    "properties": {
     "count": {"type": "integer", "minimum": 0},
     "max_model_len": {"type": "integer"},
     "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}},
     "token_strs": {"type": ["array", "null"], "items": {"type": "string"}}
    }
   },
   "Text": {"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}}},
   "Model": {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
     "id": {"type": "string"},
     "object": {"const": "model"},
     "created": {"type": "integer"},
     "owned_by": {"type": "string"},
     "max_model_len": {"type": "integer"}
    }
   },
   "ModelList": {
    "type": "object",
    "required": ["object", "data"],
    "properties": {
     "object": {"const": "list"},
     "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}
    }
   },
   "Health": {
    "type": "object",
    "required": ["status", "endpoints_ready", "endpoints"],
    "properties": {
     "status": {"enum": ["ok", "unavailable", "draining"]},
     "endpoints_ready": {"type": "integer"},
     "endpoints": {"type": "integer"}
    }
   },
   "Usage": {
    "type": "object",
    "required": ["prompt_tokens", "total_tokens"],
    "properties": {
     "prompt_tokens": {"type": "integer", "minimum": 0},
     "completion_tokens": {"type": "integer", "minimum": 0},
     "total_tokens": {"type": "integer", "minimum": 0},
     "prompt_tokens_details": {
      "type": ["object", "null"],
      "properties": {"cached_tokens": {"type": ["integer", "null"], "minimum": 0}}
     }
    }
   },
   "Error": {
    "type": "object",
    "required": ["error"],
    "properties": {
     "error": {
      "type": "object",
      "required": ["message", "type", "param", "code"],
      "properties": {
       "message": {"type": "string"},
       "type": {"enum": ["invalid_request_error", "rate_limit_error", "server_error"]},
       "param": {"type": ["string", "null"]},
       "code": {"type": "string", "description": "Stable; see docs/errors.md"}
      }
     }
    }
   }
  }
 }
}
)json";

}  // namespace llmd::gateway
