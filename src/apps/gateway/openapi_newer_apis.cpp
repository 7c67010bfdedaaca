#include "apps/gateway/openapi_parts.h"

namespace llmd::gateway {

/// The schemas of Anthropic's messages and OpenAI's responses.
const std::string_view kOpenApiNewerApis = R"json(   "MessageRequest": {
    "type": "object",
    "required": ["max_tokens", "messages"],
    "properties": {
     "max_tokens": {"type": "integer", "minimum": 1, "maximum": 16777216},
     "messages": {
      "type": "array",
      "items": {
       "type": "object",
       "required": ["role", "content"],
       "properties": {
        "role": {"enum": ["user", "assistant"]},
        "content": {
         "oneOf": [
          {"type": "string"},
          {
           "type": "array",
           "items": {
            "type": "object",
            "required": ["type", "text"],
            "properties": {"type": {"const": "text"}, "text": {"type": "string"}}
           },
           "minItems": 1,
           "description": "Also tool_use, tool_result, thinking, image and document blocks"
          }
         ]
        }
       }
      },
      "minItems": 1,
      "maxItems": 4096
     },
     "model": {"type": ["string", "null"], "maxLength": 256},
     "system": {"type": ["string", "null"], "description": "Also a list of text blocks"},
     "tools": {
      "type": ["array", "null"],
      "items": {
       "type": "object",
       "required": ["name", "input_schema"],
       "properties": {
        "type": {"enum": ["custom", null]},
        "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
        "description": {"type": ["string", "null"]},
        "input_schema": {"type": "object"}
       }
      },
      "maxItems": 128
     },
     "tool_choice": {
      "type": ["object", "null"],
      "required": ["type"],
      "properties": {
       "type": {"enum": ["auto", "any", "tool", "none"]},
       "name": {"type": "string"},
       "disable_parallel_tool_use": {"type": ["boolean", "null"]}
      }
     },
     "thinking": {
      "type": ["object", "null"],
      "required": ["type"],
      "properties": {"type": {"enum": ["enabled", "adaptive", "between_tools", "disabled"]}}
     },
     "metadata": {"type": ["object", "null"], "properties": {"user_id": {"type": ["string", "null"]}}},
     "output_config": {
      "type": ["object", "null"],
      "properties": {"effort": {"enum": ["low", "medium", "high", "xhigh", "max", null]}}
     },
     "stop_sequences": {
      "type": ["array", "null"],
      "items": {"type": "string", "minLength": 1, "maxLength": 256},
      "maxItems": 16
     },
     "stream": {"type": ["boolean", "null"]},
     "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
     "top_k": {"type": ["integer", "null"], "minimum": -1, "maximum": 1000000},
     "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1}
    }
   },
   "MessagePrompt": {
    "type": "object",
    "required": ["messages"],
    "properties": {
     "messages": {
      "type": "array",
      "items": {
       "type": "object",
       "required": ["role", "content"],
       "properties": {
        "role": {"enum": ["user", "assistant"]},
        "content": {
         "oneOf": [
          {"type": "string"},
          {
           "type": "array",
           "items": {
            "type": "object",
            "required": ["type", "text"],
            "properties": {"type": {"const": "text"}, "text": {"type": "string"}}
           },
           "minItems": 1,
           "description": "Also tool_use, tool_result, thinking, image and document blocks"
          }
         ]
        }
       }
      },
      "minItems": 1,
      "maxItems": 4096
     },
     "model": {"type": ["string", "null"], "maxLength": 256},
     "system": {"type": ["string", "null"], "description": "Also a list of text blocks"},
     "tools": {
      "type": ["array", "null"],
      "items": {
       "type": "object",
       "required": ["name", "input_schema"],
       "properties": {
        "type": {"enum": ["custom", null]},
        "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
        "description": {"type": ["string", "null"]},
        "input_schema": {"type": "object"}
       }
      },
      "maxItems": 128
     },
     "tool_choice": {
      "type": ["object", "null"],
      "required": ["type"],
      "properties": {
       "type": {"enum": ["auto", "any", "tool", "none"]},
       "name": {"type": "string"},
       "disable_parallel_tool_use": {"type": ["boolean", "null"]}
      }
     },
     "thinking": {
      "type": ["object", "null"],
      "required": ["type"],
      "properties": {"type": {"enum": ["enabled", "adaptive", "between_tools", "disabled"]}}
     }
    }
   },
   "ResponseRequest": {
    "type": "object",
    "required": ["input"],
    "properties": {
     "input": {
      "oneOf": [
       {"type": "string"},
       {
        "type": "array",
        "items": {
         "type": "object",
         "required": ["role", "content"],
         "properties": {
          "type": {"enum": ["message", null]},
          "role": {"enum": ["user", "assistant", "system", "developer"]},
          "content": {"type": "string", "description": "Also a list of parts"}
         }
        },
        "minItems": 1,
        "maxItems": 4096,
        "description": "Also function_call, function_call_output and reasoning items"
       }
      ]
     },
     "model": {"type": ["string", "null"], "maxLength": 256},
     "instructions": {"type": ["string", "null"]},
     "max_output_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 16777216},
     "metadata": {"type": ["object", "null"]},
     "parallel_tool_calls": {"type": ["boolean", "null"]},
     "previous_response_id": {"type": "null", "description": "Nothing is stored"},
     "reasoning": {
      "type": ["object", "null"],
      "properties": {"effort": {"enum": ["none", "minimal", "low", "medium", "high", "xhigh", null]}}
     },
     "store": {"type": ["boolean", "null"], "description": "Taken, and answered with false"},
     "stream": {"type": ["boolean", "null"]},
     "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
     "text": {
      "type": ["object", "null"],
      "properties": {
       "format": {
        "type": ["object", "null"],
        "required": ["type"],
        "properties": {"type": {"enum": ["text", "json_object", "json_schema"]}, "schema": {"type": "object"}}
       }
      }
     },
     "tools": {
      "type": ["array", "null"],
      "items": {
       "type": "object",
       "required": ["type", "name"],
       "properties": {
        "type": {"const": "function"},
        "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
        "description": {"type": ["string", "null"]},
        "parameters": {"type": ["object", "null"]}
       }
      },
      "maxItems": 128
     },
     "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
     "user": {"type": ["string", "null"]}
    }
   },
   "MessageAnswer": {
    "type": "object",
    "required": ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"],
    "properties": {
     "id": {"type": "string"},
     "type": {"const": "message"},
     "role": {"const": "assistant"},
     "model": {"type": "string"},
     "content": {"type": "array", "items": {"type": "object", "required": ["type"]}},
     "stop_reason": {"enum": ["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]},
     "stop_sequence": {"type": ["string", "null"]},
     "usage": {"type": "object", "required": ["input_tokens", "output_tokens"]}
    }
   },
   "MessageTokens": {
    "type": "object",
    "required": ["input_tokens"],
    "properties": {"input_tokens": {"type": "integer", "minimum": 0}}
   },
   "MessageError": {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
     "type": {"const": "error"},
     "error": {
      "type": "object",
      "required": ["type", "message"],
      "properties": {
       "type": {"type": "string"},
       "message": {"type": "string"},
       "param": {"type": ["string", "null"]},
       "code": {"type": "string", "description": "Stable; see docs/errors.md"}
      }
     }
    }
   },
   "Response": {
    "type": "object",
    "required": ["id", "object", "created_at", "status", "model", "output", "usage"],
    "properties": {
     "id": {"type": "string"},
     "object": {"const": "response"},
     "created_at": {"type": "integer"},
     "status": {"enum": ["completed", "incomplete"]},
     "model": {"type": "string"},
     "output": {"type": "array", "items": {"type": "object", "required": ["id", "type", "status"]}},
     "store": {"const": false},
     "usage": {"type": "object", "required": ["input_tokens", "output_tokens", "total_tokens"]}
    }
   },
)json";

}  // namespace llmd::gateway
