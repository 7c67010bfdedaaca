"""Why figures of the study are missed, as found by looking: the tables under the reasons show what was looked at. A
reason is printed only while a row that it is for is missed, and gives no numbers: those stand in the tables of the
run."""

# (what the rows' names begin with, reason)
REASONS = (
    (
        "first in TTFT p90, chat",
        """
        All serve everything within the objectives, and TTFT p90 differs by one or two milliseconds. The first
        there has weights that were searched on this very traffic and an index fed by KV events, and pays with its
        tokens: its TPOT p90 is higher in every table of 16 endpoints. A part of the distance is what a request
        does to the sequences that an endpoint has: without that term (harm) TTFT p90 is lower, and TPOT higher.
        """,
    ),
    (
        "first in TTFT p90, mooncake",
        """
        Only at low loads, and there ours has the most goodput: it weighs the tokens of an answer and those of others
        beside its first token. From middling loads on it is first.
        """,
    ),
    (
        "first in TTFT p90, agents",
        """
        All serve everything within the objectives and find the same in the caches, and TTFT p90 differs by
        milliseconds. The first has, mostly, weights that were searched on this very traffic and an index fed by KV
        events.
        """,
    ),
    (
        ("first in goodput, documents", "first in TTFT p90, documents"),
        """
        A document takes about as long to compute as its objective allows, so goodput follows the hits, and the
        waits for a slot: the profile gives an endpoint two for more than 32,768 tokens, which the model does not
        know of. With slots for all lengths alike ours gains the most of what the table shows. Fleets of 8 have few
        documents at a time, and the order changes from cell to cell.
        """,
    ),
    (
        ("first in TTFT p90, shared-prefix", "first in goodput, shared-prefix"),
        """
        Twelve prompts of 6,000 tokens fit every endpoint's cache many times over, so whoever spreads requests
        has each prompt everywhere soon (see random's hits), and pays for it with idle time that this workload
        has. Ours computes a new prompt at few endpoints, which saves work and lets those who come meanwhile
        wait for it: a burst's followers wait for what is left of the prompt, and each for the others' questions.
        Prompts above 8,192 tokens wait for one of 18 slots, too. Without harm it makes more copies and comes
        nearer to the first, and loses goodput or the pace of tokens on the other workloads.
        """,
    ),
    (
        ("first in goodput, tenants", "first in TTFT p90, tenants"),
        """
        Tenants share nothing beyond short system prompts, so all policies that see the load find the same. In the
        tables of 16 endpoints ours has the most goodput, the lowest median and, under load, the quickest tokens,
        which it weighs, and gives a part of the tail for them.
        """,
    ),
    (
        "hit rate of random's",
        """
        Random's own hits leave no room where a few prompts are in every cache (the most that any policy has is
        beside it), or, for tenants, where system prompts are all that repeats and each endpoint has them.
        """,
    ),
    (
        "throughput at the objectives of round robin's",
        """
        Where round robin's own hits are high its throughput is, too; and where the highest load that was tried
        is still served, the ratio is a lower bound.
        """,
    ),
    (
        "CV of busy time",
        """
        At these loads the cache leaves so little to compute that endpoints are idle for much of the time (table
        below): whoever holds a hot prompt is busy and the others wait, which costs nobody anything, as the
        best-instance rate says. With the load the variation falls.
        """,
    ),
    (
        "best-instance rate",
        """
        The oracle looks at one request's first token alone and knows how long every answer will be. No policy
        comes near 90 % on every workload, and ours has about the least regret. Neither fresh metrics nor a
        policy that thinks of one request only (without harm) raises the rate on all workloads: below its
        objective a request gains little by a faster endpoint, and is sent where it disturbs less.
        """,
    ),
    (
        "failover live",
        """
        The gateway sees each endpoint's connection end, looks, and looks once more 50 ms later: two looks for each
        endpoint that died. What it takes beyond is waiting for a core (docs/benchmarks.md has the same without
        other requests, and a small fleet).
        """,
    ),
    (
        "decision live",
        """
        Wall time: beside other processes the gateway's thread loses its core more often than a decision of so many
        endpoints is long (docs/benchmarks.md, "A large fleet, live", where the parts of a decision stand, too).
        """,
    ),
)


def of(missed):
    """The reasons of these rows, as a list."""
    lines = []
    for starts, reason in REASONS:
        rows = [row for row in missed if row.startswith(starts)]
        if rows:
            lines.append(f"- **{'; '.join(rows)}.** {' '.join(reason.split())}")
    return "\n".join(lines) or "None is."
