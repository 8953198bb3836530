"""Global and local softmax attention over a sequence with padding; both linear in memory along time."""

import torch
import torch.nn.functional as F

# B batch, T time, H heads, D width of a head, R reach = window // 2, S block length, K = ceil(T / S) blocks

BLOCK = 32  # queries that share one stretch of keys; the fastest on CPU for windows of 5 to 33
PADDED_KEY = -1e4  # added to the logits of padded keys: no weight beside a real key, and finite in float16


def global_attention(query, key, value, mask):
    """Every position looks at all that are not padding.  3 x (B, T, H, D), (B, T) bool -> (B, T, H, D)"""
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None]).transpose(1, 2)


def local_attention(query, key, value, mask, window):
    """Every position looks at those at most window // 2 away.  3 x (B, T, H, D), (B, T) bool -> (B, T, H, D)

    Queries are taken in blocks; a block meets only the keys its members can reach, so time and memory grow with
    T * window. What comes out at padded positions means nothing.
    """
    batch, length, heads, width = query.shape
    reach = window // 2
    size = max(reach, min(BLOCK, length))
    count = -(-length // size)
    query = F.pad(query, (0, 0, 0, 0, 0, count * size - length)).reshape(batch * count, size, heads, width)
    key, value = (_stretches(x, size, count, reach) for x in (key, value))
    out = F.scaled_dot_product_attention(
        query.transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        attn_mask=_band_bias(mask, size, count, reach).to(query.dtype),
    )
    return out.transpose(1, 2).reshape(batch, count * size, heads, width)[:, :length]


def _stretches(x, size, count, reach):
    """Each block with `reach` positions on both sides.  (B, T, ...) -> (B * K, S + 2R, ...), zeros outside"""
    right = (count + 1) * size - x.shape[1]
    x = F.pad(x, (0, 0) * (x.dim() - 2) + (size, right)).unflatten(1, (count + 2, size))
    x = torch.cat([x[:, :-2, size - reach :], x[:, 1:-1], x[:, 2:, :reach]], dim=2)
    return x.flatten(0, 1)


def _band_bias(mask, size, count, reach):
    """What to add to the logits: -inf outside the band, PADDED_KEY at padded keys.  (B, T) -> (B * K, 1, S, S + 2R)

    Positions outside the sequence count as padding; every row of the band keeps a finite entry, so no row is NaN.
    """
    row = torch.arange(size, device=mask.device)[:, None]
    column = torch.arange(-reach, size + reach, device=mask.device)
    band = torch.where((row - column).abs() <= reach, 0.0, -torch.inf)  # (S, S + 2R)
    real = _stretches(mask, size, count, reach)  # (B * K, S + 2R)
    return (band + torch.where(real, 0.0, PADDED_KEY)[:, None])[:, None]
