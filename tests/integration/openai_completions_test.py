"""Text completions, tokenize, models and embeddings of `llmd up`, through the official openai client."""

import httpx
import openai
import pytest

PROMPT = "The capital of France is"


def complete(client: openai.OpenAI, prompt=PROMPT, **options):
    options = {"temperature": 0, "max_tokens": 12, **options}
    return client.completions.create(model="smol", prompt=prompt, **options)


def tokens_of(served_url: str, text: str, **options) -> list[int]:
    return httpx.post(f"{served_url}/tokenize", json={"prompt": text, **options}).json()["tokens"]


def test_completes_a_prompt(client):
    answer = complete(client)
    assert answer.object == "text_completion"
    assert "Paris" in answer.choices[0].text
    assert answer.usage.completion_tokens == 12
    assert answer.choices[0].finish_reason == "length"


def test_the_default_limit_is_16_tokens(client):
    answer = client.completions.create(model="smol", prompt=PROMPT, temperature=0, extra_body={"ignore_eos": True})
    assert answer.usage.completion_tokens == 16


def test_token_ids_complete_as_their_text_does(client, served_url):
    by_text = complete(client)
    by_ids = complete(client, tokens_of(served_url, PROMPT))
    assert by_ids.choices[0].text == by_text.choices[0].text
    assert by_ids.usage.prompt_tokens == by_text.usage.prompt_tokens


def test_several_prompts_keep_their_order(client, served_url):
    prompts = [PROMPT, "One, two, three,", "Roses are red,"]
    alone = [complete(client, prompt).choices[0].text for prompt in prompts]
    together = complete(client, prompts, n=1)
    assert [choice.text for choice in together.choices] == alone
    assert [choice.index for choice in together.choices] == [0, 1, 2]
    by_ids = complete(client, [tokens_of(served_url, prompt) for prompt in prompts])
    assert [choice.text for choice in by_ids.choices] == alone
    assert together.usage.prompt_tokens == by_ids.usage.prompt_tokens


def test_prompts_times_n_choices_stand_together(client):
    answer = complete(client, [PROMPT, "Roses are red,"], n=2, temperature=1.0, seed=5)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    first = complete(client, PROMPT, n=2, temperature=1.0, seed=5)
    assert [choice.text for choice in answer.choices[:2]] == [choice.text for choice in first.choices]


def test_echo_puts_the_prompt_before_the_output(client):
    plain = complete(client)
    assert complete(client, echo=True).choices[0].text == PROMPT + plain.choices[0].text


def test_streamed_echo_is_the_whole_one_in_pieces(client):
    whole = complete(client, echo=True).choices[0].text
    pieces = [chunk.choices[0].text for chunk in complete(client, echo=True, stream=True) if chunk.choices]
    assert pieces[0] == PROMPT
    assert "".join(pieces) == whole


def test_logprobs_stand_in_columns(client):
    answer = complete(client, logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert "".join(logprobs.tokens) == answer.choices[0].text
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == 12
    for offset, token in zip(logprobs.text_offset, logprobs.tokens, strict=True):
        assert answer.choices[0].text[offset : offset + len(token)] == token
    assert all(1 <= len(entry) <= 2 for entry in logprobs.top_logprobs), "greedy: the chosen one is among the best"


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_tell_nothing_of_a_stop_string_or_what_follows(client, stream):
    free = complete(client, max_tokens=24).choices[0].text
    for begin, length in ((2, 3), (9, 6)):
        stop = free[begin : begin + length]
        answer = complete(client, max_tokens=24, logprobs=2, stop=[stop], stream=stream)
        text, tokens, offsets = "", [], []
        for choice in [chunk.choices[0] for chunk in answer] if stream else answer.choices:
            text += choice.text
            tokens += choice.logprobs.tokens
            offsets += choice.logprobs.text_offset
            assert text.startswith("".join(tokens)), "told before it is shown"
        assert "".join(tokens) == text == free.split(stop)[0]
        assert all(text[at : at + len(token)] == token for at, token in zip(offsets, tokens, strict=True))


def test_echo_with_logprobs_scores_the_prompt_without_output(client, served_url):
    answer = complete(client, echo=True, logprobs=1, max_tokens=0)
    assert answer.choices[0].text == PROMPT
    assert answer.usage.completion_tokens == 0
    logprobs = answer.choices[0].logprobs
    assert logprobs.token_logprobs[0] is None
    assert all(value <= 0 for value in logprobs.token_logprobs[1:])
    assert len(logprobs.tokens) == len(tokens_of(served_url, PROMPT))
    assert "".join(logprobs.tokens) == PROMPT


def test_echo_gives_the_alternatives_of_each_prompt_token(client):
    """As many as asked for, and the prompt's own token beside them if it is not one of those."""
    logprobs = complete(client, echo=True, logprobs=3, max_tokens=2).choices[0].logprobs
    assert logprobs.top_logprobs[0] is None
    for token, logprob, top in zip(logprobs.tokens[1:], logprobs.token_logprobs[1:], logprobs.top_logprobs[1:]):
        assert 3 <= len(top) <= 4
        assert top[token] == logprob
        assert sorted(top.values(), reverse=True)[0] >= logprob
    assert " France" in logprobs.tokens and any(len(top) == 4 for top in logprobs.top_logprobs[1:])
    assert all(len(top) == 1 for top in complete(client, echo=True, logprobs=0).choices[0].logprobs.top_logprobs[1:])


def test_a_likely_prompt_scores_higher_than_an_unlikely_one(client):
    def score(prompt: str) -> float:
        logprobs = complete(client, prompt, echo=True, logprobs=0, max_tokens=0).choices[0].logprobs
        return logprobs.token_logprobs[-1]

    assert score("The capital of France is Paris") > score("The capital of France is Banana")


def test_suffix_is_refused_where_the_model_cannot_infill(client):
    with pytest.raises(openai.BadRequestError) as refused:
        complete(client, suffix=" and Rome")
    assert refused.value.code == "unsupported"
    assert refused.value.param == "suffix"


def test_tokenize_and_detokenize_are_a_round_trip(served_url):
    text = "Hello, wörld! 日本 😀\n\ttabs"
    answer = httpx.post(
        f"{served_url}/tokenize", json={"model": "smol", "prompt": text, "return_token_strs": True}
    ).json()
    assert answer["count"] == len(answer["tokens"]) == len(answer["token_strs"])
    assert answer["max_model_len"] > 1000
    back = httpx.post(f"{served_url}/detokenize", json={"model": "smol", "tokens": answer["tokens"]}).json()
    assert back["prompt"].endswith(text)


def test_tokenize_renders_messages_as_chat_does(client, served_url):
    messages = [{"role": "user", "content": "hi"}]
    count = httpx.post(f"{served_url}/tokenize", json={"messages": messages}).json()["count"]
    answer = client.chat.completions.create(model="smol", messages=messages, max_tokens=1)
    assert answer.usage.prompt_tokens == count


def test_models_are_listed_and_found_by_name(client):
    listed = client.models.list().data
    assert [model.id for model in listed] == ["smol"]
    assert client.models.retrieve("smol").id == "smol"
    assert client.models.retrieve("default").id == "smol"
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("gpt-9")
    assert missing.value.code == "model_not_found"


def test_embeddings_are_refused_by_a_model_that_makes_none(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="smol", input="hello")
    assert refused.value.code == "unsupported"


def test_embeddings_of_a_pooling_model_are_unit_vectors_that_tell_meanings_apart(up):
    pooled = up("--pooling", "mean").client()
    texts = ["A cat sits on the mat.", "A kitten lies on the rug.", "Interest rates rose in March."]
    # The client asks for base64 by default, so both forms are read.
    packed = pooled.embeddings.create(model="default", input=texts)
    plain = pooled.embeddings.create(model="default", input=texts, encoding_format="float")
    vectors = [entry.embedding for entry in packed.data]
    for left, right in zip(vectors, (entry.embedding for entry in plain.data), strict=True):
        assert left == pytest.approx(right, abs=1e-6)
    assert [entry.index for entry in packed.data] == [0, 1, 2]
    assert packed.usage.prompt_tokens > 10

    def similarity(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert similarity(vectors[0], vectors[0]) == pytest.approx(1, abs=1e-3)
    assert similarity(vectors[0], vectors[1]) > similarity(vectors[0], vectors[2])
