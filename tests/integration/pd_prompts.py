"""Fifty prompts of about 20 to 1,500 tokens: questions of our own, most of them about a passage of the LICENSE file."""

from pathlib import Path

LICENSE = (Path(__file__).resolve().parents[2] / "LICENSE").read_text()

QUESTIONS = (
    "Name three rivers of Europe and the sea that each of them flows into, one a line.",
    "Write the first two sentences of a letter to a friend who has moved to a small island.",
    "Explain in simple words why the sky is blue at noon and red in the evening.",
    "What should a cook look at before buying a fish at the market? Give four hints.",
    "Describe a quiet morning in a village by the mountains, with bells, bread and snow.",
    "How does a bicycle stay upright while it moves? Answer for a child of ten years.",
    "List the steps of planting a tomato, from the seed to the first ripe fruit.",
    "Which is heavier, a litre of oil or a litre of water? Say how one could find out.",
    "Give me a short poem about a lighthouse whose keeper collects the names of ships.",
    "Compare trains and planes for a journey of five hundred kilometres, in one paragraph.",
    "Here is a passage. Say in one sentence what it is about.",
    "Read the text below and name its most important word.",
    "Summarise the following part of a document for a busy person.",
    "What would a lawyer ask first after reading this?",
    "Rewrite the beginning of this text in plain language.",
    "Find the conditions that the following passage states.",
    "Which rights does somebody get by these lines?",
    "Continue this document in the same style.",
    "Turn the next lines into a list of duties.",
    "Explain the passage to somebody who has never seen a contract.",
    "What does this text say about copies?",
    "Who is meant by You in the following text?",
    "Write a title for this passage.",
    "Which words of this text are defined in it?",
    "Say whether these lines speak of money.",
)
KINDS = ("Question", "Task")
# Bytes of the passage that follows the question: most prompts are short, a few fill a context of 1,500 tokens.
PASSAGE_BYTES = (
    *([0] * 20),
    *(60 + 35 * i for i in range(16)),
    *(700 + 180 * i for i in range(9)),
    *(2_900, 3_700, 4_500, 5_600, 6_700),
)


def all_prompts() -> list[str]:
    prompts = []
    for i, length in enumerate(PASSAGE_BYTES):
        question = QUESTIONS[i % len(QUESTIONS)]
        first = 97 * i % (len(LICENSE) - length)
        text = f"{KINDS[i // len(QUESTIONS)]}: {question}\n"
        if length:
            text += f"\n{LICENSE[first : first + length]}\n"
        prompts.append(text + "\nAnswer:")
    return prompts
