"""A quick engine for `llmd worker --engine sim`, named `quick`."""

PROFILE = """
name: quick
step_s: 0.004
prefill_token_s: 0.00002
decode_sequence_s: 0.0002
submit_s: 0.0001
stream_s: 0
store_tokens: 65536
slots:
  - {slots: 8, tokens_max: 4096}
"""
