"""Anthropic's messages of `llmd up`, through the official anthropic client."""

import json

import anthropic
import httpx
import pytest

from waiting import wait_for

QUESTION = [{"role": "user", "content": "What is gravity? Answer in one sentence."}]
STORY = [{"role": "user", "content": "Tell me a short story about a fox and a river."}]
WEATHER_TOOL = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="session")
def messages(served_url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=served_url, api_key="unused", max_retries=0, timeout=60)


def ask(client: anthropic.Anthropic, prompt=None, temperature: float = 0, **options):
    """The client's newest models know no temperature, so it has no argument of that name any more."""
    options = {"max_tokens": 48, "extra_body": {"temperature": temperature}, **options}
    return client.messages.create(model="smol", messages=prompt or QUESTION, **options)


def events_of(client: anthropic.Anthropic, prompt=None, **options) -> list:
    return list(ask(client, prompt, stream=True, **options))


def test_answers_as_a_chat_does(messages, client):
    answer = ask(messages)
    chat = client.chat.completions.create(model="smol", messages=QUESTION, temperature=0, max_tokens=48)
    assert answer.content[0].text == chat.choices[0].message.content
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", "smol")
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)
    assert answer.id.startswith("msg_")
    usage = answer.usage
    assert usage.input_tokens + usage.cache_read_input_tokens == chat.usage.prompt_tokens
    assert usage.output_tokens == chat.usage.completion_tokens


def test_cached_tokens_are_counted_apart(messages):
    prompt = [{"role": "user", "content": "The river runs through the old town and past the mill. " * 20}]
    first = ask(messages, prompt, max_tokens=4).usage
    second = ask(messages, prompt, max_tokens=4).usage
    assert second.cache_read_input_tokens > 100
    assert second.input_tokens + second.cache_read_input_tokens == (
        first.input_tokens + first.cache_read_input_tokens)


def test_system_is_a_string_or_blocks_and_changes_the_answer(messages, client):
    system = "Answer every question with the single word: yes."
    blocks = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
    one = ask(messages, system=system)
    two = ask(messages, system=blocks)
    chat = client.chat.completions.create(
        model="smol", temperature=0, max_tokens=48, messages=[{"role": "system", "content": system}, *QUESTION])
    assert one.content[0].text == two.content[0].text == chat.choices[0].message.content


def test_a_stream_is_the_whole_answer_in_anthropics_events(messages):
    whole = ask(messages, STORY)
    events = events_of(messages, STORY)
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert kinds.count("content_block_start") == 1
    assert "".join(e.delta.text for e in events if e.type == "content_block_delta") == whole.content[0].text
    start = events[0].message
    assert start.content == [] and start.usage.input_tokens > 10, "the prompt is counted before the answer begins"
    assert events[-2].delta.stop_reason == whole.stop_reason == "max_tokens"
    assert events[-2].usage.output_tokens == whole.usage.output_tokens == 48


def test_the_clients_own_accumulation_of_a_stream(messages):
    with messages.messages.stream(
        model="smol", messages=QUESTION, max_tokens=48, extra_body={"temperature": 0}
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert final.content[0].text == text == ask(messages).content[0].text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 5


def test_a_stop_sequence_is_named_and_is_not_in_the_text(messages):
    full = ask(messages).content[0].text
    word = full.split()[3]
    answer = ask(messages, stop_sequences=["never-said", word])
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", word)
    assert answer.content[0].text == full[: full.index(word)]
    delta = events_of(messages, stop_sequences=[word])[-2].delta
    assert (delta.stop_reason, delta.stop_sequence) == ("stop_sequence", word)


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_tool_is_called_and_its_result_is_read(messages, choice):
    prompt = [{"role": "user", "content": "What is the weather in Paris?"}]
    answer = ask(messages, prompt, tools=[WEATHER_TOOL], tool_choice=choice, max_tokens=100)
    assert answer.stop_reason == "tool_use"
    (call,) = [block for block in answer.content if block.type == "tool_use"]
    assert call.name == "get_weather" and isinstance(call.input["city"], str) and call.id
    follow_up = [
        *prompt,
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sunny, 21 C"}]}]},
    ]
    assert ask(messages, follow_up, tools=[WEATHER_TOOL]).content


def test_a_tool_call_streams_as_parts_of_its_json(messages):
    prompt = [{"role": "user", "content": "What is the weather in Paris?"}]
    options = {"tools": [WEATHER_TOOL], "tool_choice": {"type": "any"}, "max_tokens": 100}
    events = events_of(messages, prompt, **options)
    (start,) = [e for e in events if e.type == "content_block_start" and e.content_block.type == "tool_use"]
    assert start.content_block.name == "get_weather" and start.content_block.input == {}
    parts = [e.delta.partial_json for e in events
             if e.type == "content_block_delta" and e.delta.type == "input_json_delta"]
    assert len(parts) > 1
    assert set(json.loads("".join(parts))) == {"city"}
    assert events[-2].delta.stop_reason == "tool_use"


def test_an_answer_that_the_client_began_is_continued(messages):
    begun = "Gravity is"
    answer = ask(messages, [*QUESTION, {"role": "assistant", "content": begun}])
    assert not answer.content[0].text.startswith(begun)
    assert answer.content[0].text.strip()


def test_an_output_format_is_obeyed(messages, served_url):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9, "minimum": 0}},
              "required": ["n"], "additionalProperties": False}
    body = {"model": "smol", "max_tokens": 60, "messages": [{"role": "user", "content": "Give a number."}],
            "output_config": {"format": {"type": "json_schema", "schema": schema}}}
    answer = httpx.post(f"{served_url}/v1/messages", json=body, timeout=60).json()
    assert 0 <= json.loads(answer["content"][0]["text"])["n"] <= 9


def test_count_tokens_is_what_the_request_costs(messages):
    options = {"system": "Be brief.", "tools": [WEATHER_TOOL]}
    counted = messages.messages.count_tokens(model="smol", messages=QUESTION, **options)
    usage = ask(messages, max_tokens=1, **options).usage
    assert counted.input_tokens == usage.input_tokens + usage.cache_read_input_tokens


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"max_tokens": 0}, 400, "max_tokens is 0; expected an integer from 1"),
        ({"max_tokens": None}, 400, "max_tokens is missing"),
        ({"temperature": 9}, 400, "temperature is 9; expected a number from 0 to 2"),
        ({"messages": []}, 400, "messages is missing, empty or of the wrong type"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, 'messages[0].role is "tool"; expected user, assistant'),
        ({"messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "url", "url": "http://x/y.png"}}]}]}, 400,
         'messages[0].content[0].type is "image"; this server takes text only'),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, 400,
         'tools[0].type is "web_search_20250305"; this server runs no tools itself'),
        ({"model": "other"}, 404, "the model of this name is not served here"),
    ],
)
def test_what_is_wrong_is_said_in_anthropics_shape(served_url, change, status, text):
    body = {"model": "smol", "max_tokens": 4, "messages": QUESTION, **change}
    answer = httpx.post(f"{served_url}/v1/messages", json=body, timeout=60)
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == "error"
    assert text in answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == {400: "invalid_request_error", 404: "not_found_error"}[status]


def test_the_client_raises_the_right_kind_of_error(messages):
    with pytest.raises(anthropic.BadRequestError) as wrong:
        ask(messages, temperature=3)
    assert wrong.value.body["error"]["type"] == "invalid_request_error"
    with pytest.raises(anthropic.NotFoundError):
        messages.messages.create(model="other", max_tokens=4, messages=QUESTION)


def test_the_key_may_come_as_anthropics_clients_send_it(up):
    one = up(env={"LLMD_API_KEY": "secret"})
    good = anthropic.Anthropic(base_url=one.url, api_key="secret", max_retries=0, timeout=60)
    assert good.messages.create(model="default", max_tokens=4, messages=QUESTION).content
    bad = anthropic.Anthropic(base_url=one.url, api_key="wrong", max_retries=0, timeout=60)
    with pytest.raises(anthropic.AuthenticationError) as refused:
        bad.messages.create(model="default", max_tokens=4, messages=QUESTION)
    assert refused.value.body["error"]["type"] == "authentication_error"


def test_prefill_and_decode_workers_answer_as_one(up):
    """Also in the newer APIs: the same answer from both topologies, whole and streamed, with blocks that were moved."""
    prompt = [{"role": "user", "content": "The river runs through the old town and past the mill. " * 20}]
    unified = up()
    split = up("--topology", "prefill:1,decode:1")
    body = {"model": "default", "messages": prompt, "max_tokens": 12, "temperature": 0}
    alone = httpx.post(f"{unified.url}/v1/messages", json=body, timeout=60).json()
    whole = httpx.post(f"{split.url}/v1/messages", json=body, timeout=60).json()
    assert whole["content"] == alone["content"] and whole["stop_reason"] == alone["stop_reason"]
    assert whole["usage"]["cache_read_input_tokens"] > 100, "blocks came from the other worker"
    client = anthropic.Anthropic(base_url=split.url, api_key="unused", max_retries=0, timeout=60)
    with client.messages.stream(
        model="default", messages=prompt, max_tokens=12, extra_body={"temperature": 0}
    ) as stream:
        assert stream.get_final_message().content[0].text == alone["content"][0]["text"]
    answer = httpx.post(
        f"{split.url}/v1/responses",
        json={"model": "default", "input": prompt, "max_output_tokens": 12, "temperature": 0},
        timeout=60,
    ).json()
    assert answer["output"][0]["content"][0]["text"] == alone["content"][0]["text"]
    assert split.counter("llmd_gateway_prefill_legs_total") >= 1


@pytest.mark.parametrize(
    ("path", "prompt"), [("/v1/messages", {"max_tokens": 4, "messages": QUESTION, "system": "Be brief."}),
                         ("/v1/responses", {"max_output_tokens": 4, "input": QUESTION, "instructions": "Be brief."})],
)  # fmt: skip
def test_the_gateway_makes_the_prompts_tokens_for_the_worker(served_up, path, prompt):
    wait_for(lambda: served_up.counter("llmd_gateway_tokenizer_loaded") == 1, "the vocabulary")
    taken = 'llmd_worker_prompts_total{worker="worker-0",tokenised_by="gateway"}'
    before = served_up.counter(taken)
    answer = httpx.post(
        f"{served_up.url}{path}", json={"model": "smol", **prompt}, headers={"x-request-id": path[4:]}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert served_up.counter(taken) == before + 1
    told = served_up.admin(f"/explanations/{path[4:]}").json()
    assert told["prompt_tokens_exact"] is True
    assert told["prompt_tokens"] == told["outcome"]["prompt_tokens"]
