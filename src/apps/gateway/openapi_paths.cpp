#include "apps/gateway/openapi_parts.h"

namespace llmd::gateway {

const std::string_view kOpenApiPaths = R"json({
 "openapi": "3.1.0",
 "info": {
  "title": "llmd",
  "version": "1",
  "summary": "OpenAI- and Anthropic-compatible LLM inference",
  "description": "Unknown fields are passed on to the endpoint that serves the request."
 },
 "security": [{}, {"bearer": []}],
 "paths": {
  "/v1/chat/completions": {
   "post": {
    "summary": "Answers a chat",
    "operationId": "chatCompletion",
    "requestBody": {
     "required": true,
     "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatCompletionRequest"}}}
    },
    "responses": {
     "200": {
      "description": "The answer",
      "content": {
       "application/json": {"schema": {"$ref": "#/components/schemas/ChatCompletion"}},
       "text/event-stream": {"schema": {"type": "string"}}
      }
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "401": {"$ref": "#/components/responses/Unauthorized"},
     "404": {"$ref": "#/components/responses/NotFound"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "408": {"$ref": "#/components/responses/RequestTimeout"},
     "413": {"$ref": "#/components/responses/BodyTooLarge"},
     "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
     "429": {"$ref": "#/components/responses/Overloaded"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"},
     "503": {"$ref": "#/components/responses/Unavailable"},
     "504": {"$ref": "#/components/responses/Timeout"}
    }
   }
  },
  "/v1/completions": {
   "post": {
    "summary": "Continues a text",
    "operationId": "completion",
    "requestBody": {
     "required": true,
     "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CompletionRequest"}}}
    },
    "responses": {
     "200": {
      "description": "The answer",
      "content": {
       "application/json": {"schema": {"$ref": "#/components/schemas/Completion"}},
       "text/event-stream": {"schema": {"type": "string"}}
      }
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "401": {"$ref": "#/components/responses/Unauthorized"},
     "404": {"$ref": "#/components/responses/NotFound"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "408": {"$ref": "#/components/responses/RequestTimeout"},
     "413": {"$ref": "#/components/responses/BodyTooLarge"},
     "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
     "429": {"$ref": "#/components/responses/Overloaded"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"},
     "503": {"$ref": "#/components/responses/Unavailable"},
     "504": {"$ref": "#/components/responses/Timeout"}
    }
   }
  },
  "/v1/messages": {
   "post": {
    "summary": "Answers a chat, in Anthropic's API",
    "operationId": "message",
    "security": [{}, {"bearer": []}, {"key": []}],
    "requestBody": {
     "required": true,
     "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MessageRequest"}}}
    },
    "responses": {
     "200": {
      "description": "The answer",
      "content": {
       "application/json": {"schema": {"$ref": "#/components/schemas/MessageAnswer"}},
       "text/event-stream": {}
      }
     },
     "default": {"$ref": "#/components/responses/MessagesFailure"}
    }
   }
  },
  "/v1/messages/count_tokens": {
   "post": {
    "summary": "The tokens of such a chat's prompt",
    "operationId": "countMessageTokens",
    "security": [{}, {"bearer": []}, {"key": []}],
    "requestBody": {
     "required": true,
     "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MessagePrompt"}}}
    },
    "responses": {
     "200": {
      "description": "The answer",
      "content": {
       "application/json": {"schema": {"$ref": "#/components/schemas/MessageTokens"}}
      }
     },
     "default": {"$ref": "#/components/responses/MessagesFailure"}
    }
   }
  },
  "/v1/responses": {
   "post": {
    "summary": "Answers a chat, in OpenAI's newer API; nothing is stored",
    "operationId": "response",
    "requestBody": {
     "required": true,
     "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ResponseRequest"}}}
    },
    "responses": {
     "200": {
      "description": "The answer",
      "content": {
       "application/json": {"schema": {"$ref": "#/components/schemas/Response"}},
       "text/event-stream": {}
      }
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "401": {"$ref": "#/components/responses/Unauthorized"},
     "404": {"$ref": "#/components/responses/NotFound"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "408": {"$ref": "#/components/responses/RequestTimeout"},
     "413": {"$ref": "#/components/responses/BodyTooLarge"},
     "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
     "429": {"$ref": "#/components/responses/Overloaded"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"},
     "503": {"$ref": "#/components/responses/Unavailable"},
     "504": {"$ref": "#/components/responses/Timeout"}
    }
   }
  },
  "/v1/embeddings": {
   "post": {
    "summary": "Embeds texts",
    "operationId": "embedding",
    "requestBody": {
     "required": true,
     "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EmbeddingRequest"}}}
    },
    "responses": {
     "200": {
      "description": "The answer",
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Embeddings"}}}
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "401": {"$ref": "#/components/responses/Unauthorized"},
     "404": {"$ref": "#/components/responses/NotFound"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "408": {"$ref": "#/components/responses/RequestTimeout"},
     "413": {"$ref": "#/components/responses/BodyTooLarge"},
     "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
     "429": {"$ref": "#/components/responses/Overloaded"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"},
     "503": {"$ref": "#/components/responses/Unavailable"},
     "504": {"$ref": "#/components/responses/Timeout"}
    }
   }
  },
  "/tokenize": {
   "post": {
    "summary": "Text or a chat to token ids",
    "operationId": "tokenize",
    "requestBody": {
     "required": true,
     "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TokenizeRequest"}}}
    },
    "responses": {
     "200": {
      "description": "The answer",
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tokens"}}}
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "401": {"$ref": "#/components/responses/Unauthorized"},
     "404": {"$ref": "#/components/responses/NotFound"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "408": {"$ref": "#/components/responses/RequestTimeout"},
     "413": {"$ref": "#/components/responses/BodyTooLarge"},
     "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
     "429": {"$ref": "#/components/responses/Overloaded"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"},
     "503": {"$ref": "#/components/responses/Unavailable"},
     "504": {"$ref": "#/components/responses/Timeout"}
    }
   }
  },
  "/detokenize": {
   "post": {
    "summary": "Token ids to text",
    "operationId": "detokenize",
    "requestBody": {
     "required": true,
     "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DetokenizeRequest"}}}
    },
    "responses": {
     "200": {
      "description": "The answer",
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Text"}}}
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "401": {"$ref": "#/components/responses/Unauthorized"},
     "404": {"$ref": "#/components/responses/NotFound"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "408": {"$ref": "#/components/responses/RequestTimeout"},
     "413": {"$ref": "#/components/responses/BodyTooLarge"},
     "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
     "429": {"$ref": "#/components/responses/Overloaded"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"},
     "503": {"$ref": "#/components/responses/Unavailable"},
     "504": {"$ref": "#/components/responses/Timeout"}
    }
   }
  },
  "/v1/models": {
   "get": {
    "summary": "The models",
    "operationId": "listModels",
    "responses": {
     "200": {
      "description": "The answer",
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ModelList"}}}
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "401": {"$ref": "#/components/responses/Unauthorized"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"}
    }
   }
  },
  "/v1/models/{model}": {
   "get": {
    "summary": "One model",
    "operationId": "getModel",
    "responses": {
     "200": {
      "description": "The answer",
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Model"}}}
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "401": {"$ref": "#/components/responses/Unauthorized"},
     "404": {"$ref": "#/components/responses/NotFound"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"}
    },
    "parameters": [
     {
      "name": "model",
      "in": "path",
      "required": true,
      "schema": {"type": "string", "minLength": 1}
     }
    ]
   }
  },
  "/openapi.json": {
   "get": {
    "summary": "This document",
    "operationId": "getOpenApi",
    "responses": {
     "200": {
      "description": "The answer",
      "content": {"application/json": {"schema": {"type": "object"}}}
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "401": {"$ref": "#/components/responses/Unauthorized"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"}
    }
   }
  },
  "/health": {
   "get": {
    "summary": "Whether at least one endpoint can serve a request; prefill endpoints alone cannot",
    "operationId": "getHealth",
    "responses": {
     "200": {
      "description": "The answer",
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"},
     "503": {
      "description": "It cannot",
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}
     }
    },
    "security": []
   }
  },
  "/ready": {
   "get": {
    "summary": "The same, and not shutting down",
    "operationId": "getReady",
    "responses": {
     "200": {
      "description": "The answer",
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}
     },
     "400": {"$ref": "#/components/responses/BadRequest"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"},
     "503": {
      "description": "It cannot",
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}
     }
    },
    "security": []
   }
  },
  "/metrics": {
   "get": {
    "summary": "Prometheus text page",
    "operationId": "getMetrics",
    "responses": {
     "200": {"description": "The answer", "content": {"text/plain": {"schema": {"type": "string"}}}},
     "400": {"$ref": "#/components/responses/BadRequest"},
     "405": {"$ref": "#/components/responses/MethodNotAllowed"},
     "431": {"$ref": "#/components/responses/HeaderTooLarge"}
    },
    "security": []
   }
  }
 },
)json";

}  // namespace llmd::gateway
