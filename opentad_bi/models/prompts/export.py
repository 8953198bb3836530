"""Learned prompts as a reader may look at them: every vector, and the tokens it lies closest to."""

import torch

# R learned vectors, V tokens of the vocabulary, D width of the text tower


def nearest_tokens(vectors, table, count=1):
    """The tokens closest to each vector in Euclidean distance, of equally close ones the first.

    Args:
        vectors: (R, D).
        table: (V, D) token embedding.
        count: how many of them.
    Returns:
        token ids (R, count) int64 and distances (R, count) float32, the closest first.
    """
    distances, found = torch.cdist(vectors.float(), table.float()), []
    for _ in range(count):  # not topk, which leaves open which of equals it takes
        found.append(distances.min(dim=1))
        distances.scatter_(1, found[-1].indices[:, None], torch.inf)
    return torch.stack([near.indices for near in found], dim=1), torch.stack([near.values for near in found], dim=1)


@torch.no_grad()
def describe_prompts(learner, table, tokens, count=1):
    """The prompts of a `PromptLearner` as plain data.

    Args:
        learner: the `PromptLearner`.
        table: (V, D) token embedding of its tower.
        tokens: the `Tokens` of its tower.
        count: nearest tokens to name for every vector.
    Returns:
        {class: {"prompt" (text that learning started from, X for a random vector), "context_shape" [n, D],
        "nearest_tokens" [[{"token", "distance"}, ...] per vector], "context_vector" [n lists of D numbers]}}
    """
    ids, distances = (found.tolist() for found in nearest_tokens(learner.ctx, table, count))
    near = [
        [{"token": tokens.decode(token), "distance": round(far, 6)} for token, far in zip(*row, strict=True)]
        for row in zip(ids, distances, strict=True)
    ]
    vectors = learner.ctx.detach().float().cpu()
    return {
        name: {
            "prompt": text,
            "context_shape": [len(rows), vectors.shape[1]],
            "nearest_tokens": [near[row] for row in rows],
            "context_vector": [vectors[row].tolist() for row in rows],
        }
        for name, text, rows in zip(learner.classes, learner.texts, learner.rows, strict=True)
    }
