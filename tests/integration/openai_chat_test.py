"""Chat completions of `llmd up`, through the official openai client."""

import asyncio
import json

import httpx
import openai
import pytest

QUESTION = [{"role": "user", "content": "What is gravity? Answer in one sentence."}]
STORY = [{"role": "user", "content": "Tell me a short story about a fox and a river."}]

WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
TIME_TOOL = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "The time in a zone",
        "parameters": {
            "type": "object",
            "properties": {"zone": {"type": "string", "maxLength": 20}},
            "required": ["zone"],
            "additionalProperties": False,
        },
    },
}


def ask(client: openai.OpenAI, messages=None, **options):
    options = {"temperature": 0, "max_tokens": 48, **options}
    return client.chat.completions.create(model="smol", messages=messages or QUESTION, **options)


def text_of(stream) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_answers_a_question_with_usage_that_adds_up(client):
    answer = ask(client)
    assert "gravity" in answer.choices[0].message.content.lower()
    assert answer.choices[0].finish_reason == "stop"
    assert answer.object == "chat.completion"
    assert answer.model == "smol"
    assert answer.usage.prompt_tokens > 10
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_default_is_an_alias_of_the_model(client):
    answer = client.chat.completions.create(model="default", messages=QUESTION, temperature=0, max_tokens=48)
    assert answer.model == "smol"
    assert answer.choices[0].message.content == ask(client).choices[0].message.content


def test_stream_is_the_whole_answer_in_pieces_of_at_most_one_token(client):
    whole = ask(client, STORY)
    chunks = list(ask(client, STORY, stream=True, stream_options={"include_usage": True}))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    usage = chunks[-1]
    assert usage.choices == []
    assert usage.usage.completion_tokens == whole.usage.completion_tokens
    assert len(pieces) <= usage.usage.completion_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["length"]


def test_stream_without_usage_ends_with_done(client, served_url):
    body = {"model": "smol", "messages": QUESTION, "stream": True, "max_tokens": 3}
    with httpx.stream("POST", f"{served_url}/v1/chat/completions", json=body, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [line for line in answer.iter_lines() if line]
    assert all(line.startswith("data: ") for line in events)
    assert events[-1] == "data: [DONE]"
    assert "usage" not in json.loads(events[-2][6:])


def test_text_beyond_ascii_arrives_whole(client):
    messages = [{"role": "user", "content": "Repeat exactly: 日本語 😀 naïve"}]
    whole = ask(client, messages, max_tokens=40).choices[0].message.content
    assert text_of(ask(client, messages, max_tokens=40, stream=True)) == whole
    assert "\ufffd" not in whole


def test_n_gives_the_answers_of_the_seeds_that_follow(client):
    options = {"temperature": 1.2, "max_tokens": 24, "seed": 7}
    both = ask(client, STORY, n=2, **options)
    assert [choice.index for choice in both.choices] == [0, 1]
    first = ask(client, STORY, **options)
    second = ask(client, STORY, **{**options, "seed": 8})
    assert both.choices[0].message.content == first.choices[0].message.content
    assert both.choices[1].message.content == second.choices[0].message.content
    assert first.choices[0].message.content != second.choices[0].message.content
    assert both.usage.prompt_tokens == first.usage.prompt_tokens, "the prompt counts once"
    assert both.usage.completion_tokens == first.usage.completion_tokens + second.usage.completion_tokens


def test_n_streams_interleave_by_index(client):
    options = {"temperature": 1.2, "max_tokens": 16, "seed": 3, "n": 3}
    whole = ask(client, STORY, **options)
    texts = {0: "", 1: "", 2: ""}
    for chunk in ask(client, STORY, stream=True, **options):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == {choice.index: choice.message.content for choice in whole.choices}


def test_the_same_seed_gives_the_same_text(client):
    options = {"temperature": 1.5, "max_tokens": 32, "seed": 1234}
    texts = {ask(client, STORY, **options).choices[0].message.content for _ in range(3)}
    assert len(texts) == 1


def test_no_seed_gives_different_texts(client):
    texts = {ask(client, STORY, temperature=1.5, max_tokens=32).choices[0].message.content for _ in range(3)}
    assert len(texts) > 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_never_leaks_even_in_part(client, stream):
    free = ask(client, STORY, max_tokens=60).choices[0].message.content
    for begin, length in ((10, 3), (25, 9), (40, 1)):
        stop = free[begin : begin + length]
        expected = free.split(stop)[0]
        answer = ask(client, STORY, max_tokens=60, stop=["never in there", stop], stream=stream)
        if stream:
            assert text_of(answer) == expected
        else:
            assert answer.choices[0].message.content == expected
            assert answer.choices[0].finish_reason == "stop"
            assert answer.choices[0].stop_reason == stop


def test_text_that_a_stop_string_held_back_comes_token_by_token(client):
    """A token that may be the beginning of a stop string is held back until the next one says that it is none."""
    options = {"max_tokens": 60, "logprobs": True, "stream": True}
    stops = [" the%", " a%", " fox%", " river%", ",%"]
    pieces = [c.choices[0] for c in ask(client, STORY, stop=stops, **options) if c.choices[0].delta.content]
    assert "".join(piece.delta.content for piece in pieces) == text_of(ask(client, STORY, **options))
    for piece in pieces:
        assert "".join(token.token for token in piece.logprobs.content) == piece.delta.content
        assert len(piece.logprobs.content) == 1


def test_logprobs_describe_each_token_of_the_text(client):
    answer = ask(client, STORY, logprobs=True, top_logprobs=3, max_tokens=20)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens == 20
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == answer.choices[0].message.content
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        best = token.top_logprobs[0]
        assert best.logprob == max(entry.logprob for entry in token.top_logprobs)
        assert best.token == token.token and best.logprob == token.logprob, "greedy takes the best"


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_tell_nothing_of_a_stop_string_or_what_follows(client, stream):
    options = {"max_tokens": 60, "logprobs": True, "top_logprobs": 2, "stream": stream}
    free = ask(client, STORY, max_tokens=60).choices[0].message.content
    for begin, length in ((10, 3), (25, 9), (40, 1)):
        stop = free[begin : begin + length]
        answer = ask(client, STORY, stop=["never in there", stop], **options)
        text, told = "", b""
        for choice in [chunk.choices[0] for chunk in answer] if stream else answer.choices:
            text += (choice.delta if stream else choice.message).content or ""
            for token in choice.logprobs.content if choice.logprobs else []:
                told += bytes(token.bytes)
                chosen = [other for other in token.top_logprobs if other.logprob == token.logprob]
                assert all(other.bytes == token.bytes and other.token == token.token for other in chosen)
            assert text.encode().startswith(told), "told before it is shown"
        assert told.decode() == text == free.split(stop)[0]


def test_the_end_of_the_answer_has_no_logprobs_of_its_own(client):
    answer = ask(client, logprobs=True, max_tokens=64)
    assert answer.choices[0].finish_reason == "stop"
    tokens = answer.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == answer.choices[0].message.content
    assert len(tokens) == answer.usage.completion_tokens - 1


def test_streamed_logprobs_are_those_of_the_whole_answer(client):
    whole = ask(client, STORY, logprobs=True, top_logprobs=1, max_tokens=12).choices[0].logprobs.content
    streamed = []
    for chunk in ask(client, STORY, logprobs=True, top_logprobs=1, max_tokens=12, stream=True):
        if chunk.choices and chunk.choices[0].logprobs:
            streamed += chunk.choices[0].logprobs.content
    assert [(t.token, t.logprob) for t in streamed] == [(t.token, t.logprob) for t in whole]


def test_json_schema_is_obeyed(client):
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 20},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "mood": {"enum": ["happy", "sad"]},
        },
        "required": ["name", "age", "mood"],
        "additionalProperties": False,
    }
    for seed in range(3):
        answer = ask(
            client,
            [{"role": "user", "content": "Describe a person."}],
            temperature=1.0,
            seed=seed,
            max_tokens=200,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "person", "schema": schema, "strict": True},
            },
        )
        person = json.loads(answer.choices[0].message.content)
        assert set(person) == {"name", "age", "mood"}
        assert isinstance(person["age"], int) and 0 <= person["age"] <= 120
        assert person["mood"] in ("happy", "sad")


def test_a_choice_constrains_the_whole_answer(client):
    answer = ask(client, extra_body={"structured_outputs": {"choice": ["Lyon", "Paris", "Nice"]}})
    assert answer.choices[0].message.content in ("Lyon", "Paris", "Nice")


def test_json_object_mode_gives_an_object(client):
    answer = ask(
        client,
        [{"role": "user", "content": "Give a JSON object with one key."}],
        response_format={"type": "json_object"},
        max_tokens=300,
        temperature=0.5,
        seed=2,
    )
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
    else:
        assert answer.choices[0].message.content.lstrip().startswith("{")


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"get_weather", "get_time"}),
        ({"type": "function", "function": {"name": "get_time"}}, {"get_time"}),
    ],
    ids=["required", "named"],
)
def test_a_forced_tool_choice_calls_a_tool_with_valid_arguments(client, choice, names):
    messages = [{"role": "user", "content": "What is the weather in Rome?"}]
    for seed in range(2):
        answer = ask(
            client,
            messages,
            tools=[WEATHER_TOOL, TIME_TOOL],
            tool_choice=choice,
            temperature=0.8,
            seed=seed,
            max_tokens=200,
        )
        assert answer.choices[0].finish_reason == "tool_calls"
        call = answer.choices[0].message.tool_calls[0]
        assert call.type == "function" and call.id
        assert call.function.name in names
        expected = {"get_weather": {"city"}, "get_time": {"zone"}}[call.function.name]
        assert set(json.loads(call.function.arguments)) == expected


def test_a_streamed_tool_call_is_the_whole_one_in_pieces(client):
    options = {"tools": [WEATHER_TOOL], "tool_choice": "required", "max_tokens": 200}
    messages = [{"role": "user", "content": "What is the weather in Rome?"}]
    whole = ask(client, messages, **options).choices[0].message.tool_calls[0]
    name, arguments, finish = "", "", None
    for chunk in ask(client, messages, stream=True, **options):
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                assert call.index == 0
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    assert name == whole.function.name
    assert json.loads(arguments) == json.loads(whole.function.arguments)
    assert finish == "tool_calls"


def test_a_streamed_tool_call_comes_as_it_is_made(client):
    """The first delta has index, id, type and name; the arguments follow, at most one token's text an event."""
    options = {"tools": [WEATHER_TOOL], "tool_choice": "required", "max_tokens": 200}
    messages = [{"role": "user", "content": "What is the weather in Rome?"}]
    stream = ask(client, messages, stream=True, stream_options={"include_usage": True}, **options)
    chunks = list(stream)
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices if choice.delta.tool_calls]
    assert all(len(delta.tool_calls) == 1 for delta in deltas)
    first, *rest = [delta.tool_calls[0] for delta in deltas]
    assert deltas[0].role == "assistant" and deltas[0].content is None
    assert (first.index, first.type, first.function.name) == (0, "function", "get_weather")
    assert first.id.startswith("call_")
    assert all(piece.id is None and piece.type is None and piece.function.name is None for piece in rest)
    pieces = [piece.function.arguments for piece in rest if piece.function.arguments]
    arguments = first.function.arguments + "".join(pieces)
    assert set(json.loads(arguments)) == {"city"}
    assert len(pieces) >= 3, "not in one event at the end"
    assert len(chunks) <= chunks[-1].usage.completion_tokens + 3
    assert all(len(piece) <= 20 for piece in pieces)


def test_the_clients_own_stream_helper_puts_a_tool_call_together(client):
    messages = [{"role": "user", "content": "What is the weather in Rome?"}]
    events = []
    with client.chat.completions.stream(
        model="smol", messages=messages, tools=[WEATHER_TOOL], tool_choice="required", temperature=0, max_tokens=200
    ) as stream:
        for event in stream:
            events.append(event.type)
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert events.count("tool_calls.function.arguments.delta") >= 3
    assert events.count("tool_calls.function.arguments.done") == 1
    assert call.function.name == "get_weather"
    assert set(json.loads(call.function.arguments)) == {"city"}


def test_tool_choice_auto_and_none_answer_with_text_or_a_valid_call(client):
    messages = [{"role": "user", "content": "Say hello."}]
    none = ask(client, messages, tools=[WEATHER_TOOL], tool_choice="none")
    assert none.choices[0].message.tool_calls is None
    assert none.choices[0].message.content
    auto = ask(client, messages, tools=[WEATHER_TOOL], tool_choice="auto")
    for call in auto.choices[0].message.tool_calls or []:
        json.loads(call.function.arguments)
    assert auto.choices[0].message.content or auto.choices[0].message.tool_calls


def test_a_tool_result_can_be_sent_back(client):
    messages = [
        {"role": "user", "content": "What is the weather in Rome?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    assert ask(client, messages, tools=[WEATHER_TOOL]).choices[0].finish_reason in ("stop", "length", "tool_calls")


def test_ignore_eos_and_max_tokens_give_an_exact_length(client):
    answer = ask(client, max_tokens=64, extra_body={"ignore_eos": True})
    assert answer.usage.completion_tokens == 64
    assert answer.choices[0].finish_reason == "length"


def test_min_tokens_holds_back_the_end(client):
    short = ask(client, max_tokens=64)
    assert short.usage.completion_tokens < 40
    long = ask(client, max_tokens=64, extra_body={"min_tokens": 40})
    assert long.usage.completion_tokens >= 40


def test_logit_bias_forces_and_bans_tokens(client, served_url):
    token = httpx.post(f"{served_url}/tokenize", json={"prompt": " yes", "add_special_tokens": False}).json()[
        "tokens"
    ][0]
    forced = ask(client, max_tokens=4, logit_bias={str(token): 100})
    assert forced.choices[0].message.content == " yes" * 4
    free = ask(client, logprobs=True, max_tokens=1)
    first = free.choices[0].logprobs.content[0].token
    ids = httpx.post(f"{served_url}/tokenize", json={"prompt": first, "add_special_tokens": False}).json()["tokens"]
    banned = ask(client, logprobs=True, max_tokens=1, logit_bias={str(ids[0]): -100})
    assert banned.choices[0].logprobs.content[0].token != first


def test_penalties_change_the_text(client):
    plain = ask(client, STORY, max_tokens=100).choices[0].message.content
    for penalty in ({"frequency_penalty": 2}, {"presence_penalty": 2}, {"extra_body": {"repetition_penalty": 1.5}}):
        assert ask(client, STORY, max_tokens=100, **penalty).choices[0].message.content != plain, penalty


def test_the_final_message_can_be_continued(client):
    messages = [*QUESTION, {"role": "assistant", "content": "Gravity is the"}]
    answer = ask(client, messages, extra_body={"continue_final_message": True, "add_generation_prompt": False})
    assert answer.choices[0].message.content
    assert not answer.choices[0].message.content.startswith("Gravity")


def test_a_repeated_prompt_is_taken_from_the_prefix_cache(client):
    messages = [{"role": "user", "content": "Count the words. " + "apple pear plum " * 80}]
    first = ask(client, messages, max_tokens=4)
    second = ask(client, messages, max_tokens=4)
    assert second.usage.prompt_tokens_details.cached_tokens > second.usage.prompt_tokens * 0.7
    assert second.choices[0].message.content == first.choices[0].message.content


def test_a_cache_salt_keeps_prefixes_apart(client):
    messages = [{"role": "user", "content": "Count these. " + "birch oak elm " * 80}]
    first = ask(client, messages, max_tokens=2, extra_body={"cache_salt": "a"})
    other = ask(client, messages, max_tokens=2, extra_body={"cache_salt": "b"})
    same = ask(client, messages, max_tokens=2, extra_body={"cache_salt": "a"})
    assert other.usage.prompt_tokens_details.cached_tokens == 0
    assert same.usage.prompt_tokens_details.cached_tokens > 0
    assert first.choices[0].message.content == other.choices[0].message.content


def test_32_streams_at_once_give_the_answers_that_each_gives_alone(client, served_url):
    prompts = [f"Write one sentence about the number {number}." for number in range(32)]

    async def run() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{served_url}/v1", api_key="x", max_retries=0, timeout=100
        ) as async_client:

            async def one(prompt: str) -> str:
                stream = await async_client.chat.completions.create(
                    model="smol",
                    messages=[{"role": "user", "content": prompt}],
                    temperature=0,
                    max_tokens=24,
                    stream=True,
                )
                text = ""
                async for chunk in stream:
                    text += chunk.choices[0].delta.content or "" if chunk.choices else ""
                return text

            return await asyncio.gather(*(one(prompt) for prompt in prompts))

    together = asyncio.run(run())
    assert all(together)
    for index in (0, 9, 31):
        alone = ask(client, [{"role": "user", "content": prompts[index]}], max_tokens=24)
        assert together[index] == alone.choices[0].message.content
