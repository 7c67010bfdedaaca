"""OpenAI's responses of `llmd up`, through the official openai client."""

import json

import httpx
import openai
import pytest

QUESTION = "What is gravity? Answer in one sentence."
STORY = "Tell me a short story about a fox and a river."
WEATHER_TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def ask(client: openai.OpenAI, prompt=QUESTION, **options):
    options = {"temperature": 0, "max_output_tokens": 48, **options}
    return client.responses.create(model="smol", input=prompt, **options)


def test_answers_as_a_chat_does(client):
    answer = ask(client)
    chat = client.chat.completions.create(
        model="smol", messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=48)
    assert answer.output_text == chat.choices[0].message.content
    assert (answer.object, answer.status, answer.model, answer.error) == ("response", "completed", "smol", None)
    assert answer.id.startswith("resp_")
    assert answer.max_output_tokens == 48 and answer.tools == [] and answer.temperature == 0
    assert answer.usage.input_tokens == chat.usage.prompt_tokens
    assert answer.usage.output_tokens == chat.usage.completion_tokens
    assert answer.usage.total_tokens == chat.usage.total_tokens
    assert answer.usage.input_tokens_details.cached_tokens >= 0


def test_input_may_be_items_with_instructions(client):
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "My name is Ann."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello Ann."}]},
        {"role": "user", "content": "What is my name?"},
    ]
    answer = ask(client, items, instructions="Answer in one word.")
    chat = client.chat.completions.create(model="smol", temperature=0, max_tokens=48, messages=[
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": "My name is Ann."},
        {"role": "assistant", "content": "Hello Ann."},
        {"role": "user", "content": "What is my name?"},
    ])
    assert answer.output_text == chat.choices[0].message.content
    assert answer.instructions == "Answer in one word."


def test_a_stream_is_the_whole_answer_in_numbered_events(client):
    whole = ask(client, STORY)
    assert whole.status == "incomplete" and whole.incomplete_details.reason == "max_output_tokens"
    events = list(ask(client, STORY, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added",
                         "response.content_part.added"]
    assert kinds[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done",
                          "response.incomplete"]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text
    assert events[-1].response.usage.output_tokens == whole.usage.output_tokens == 48


def test_the_clients_own_accumulation_of_a_stream(client):
    with client.responses.stream(model="smol", input=QUESTION, temperature=0, max_output_tokens=48) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.output_text == ask(client).output_text
    assert final.status == "completed"


def test_a_function_is_called_and_its_result_is_read(client):
    prompt = [{"role": "user", "content": "What is the weather in Paris?"}]
    answer = ask(client, prompt, tools=[WEATHER_TOOL], tool_choice="required", max_output_tokens=100)
    (call,) = [item for item in answer.output if item.type == "function_call"]
    assert call.name == "get_weather" and set(json.loads(call.arguments)) == {"city"}
    follow_up = [
        *prompt,
        *[item.model_dump(exclude_none=True) for item in answer.output],
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21 C"},
    ]
    assert ask(client, follow_up, tools=[WEATHER_TOOL]).output_text


def test_a_function_call_streams_its_arguments(client):
    events = list(ask(client, "What is the weather in Paris?", tools=[WEATHER_TOOL],
                      tool_choice={"type": "function", "name": "get_weather"}, max_output_tokens=100, stream=True))
    (added,) = [e for e in events if e.type == "response.output_item.added" and e.item.type == "function_call"]
    parts = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    (done,) = [e for e in events if e.type == "response.function_call_arguments.done"]
    assert added.item.name == "get_weather" and added.item.arguments == ""
    assert len(parts) > 1 and "".join(parts) == done.arguments
    assert events[-1].type == "response.completed"
    assert events[-1].response.output[-1].arguments == done.arguments


def test_a_text_format_is_obeyed(client):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9, "minimum": 0}},
              "required": ["n"], "additionalProperties": False}
    answer = ask(client, "Give a number.", max_output_tokens=60,
                 text={"format": {"type": "json_schema", "name": "number", "schema": schema, "strict": True}})
    assert 0 <= json.loads(answer.output_text)["n"] <= 9


def test_store_is_taken_and_answered_with_false(client):
    assert ask(client, store=True).store is False
    assert ask(client, store=False).store is False


@pytest.mark.parametrize(
    ("change", "param", "text"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "nothing is kept between requests here"),
        ({"conversation": "conv_1"}, "conversation", "nothing is kept between requests here"),
        ({"background": True}, "background", "nothing is kept for later here"),
        ({"max_output_tokens": 0}, "max_output_tokens", "max_output_tokens is 0; expected an integer from 1"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type", "nothing is kept between requests"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x/y.png"}]}]},
         "input[0].content[0].type", "this server takes text only"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "this server runs no tools itself"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", 'text.format.type is "xml"'),
        ({"tool_choice": "required"}, "tool_choice", "tool_choice is given without tools"),
    ],
)
def test_what_is_wrong_is_said_in_openais_shape(served_url, change, param, text):
    body = {"model": "smol", "input": QUESTION, "max_output_tokens": 4, **change}
    answer = httpx.post(f"{served_url}/v1/responses", json=body, timeout=60)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert text in error["message"]
    assert error["type"] == "invalid_request_error"


def test_the_client_raises_the_right_kind_of_error(client):
    with pytest.raises(openai.BadRequestError) as wrong:
        ask(client, previous_response_id="resp_1")
    assert wrong.value.param == "previous_response_id"
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="other", input="x")
