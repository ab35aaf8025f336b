"""A peer's column of ten thousand values in a thousand bytes: what is kept, and why, says worker/kernels/conformance-blocks.ts."""
import base64
import hashlib
import math
import zlib

import numpy as np

BLOCK_ROWS = 64
WHOLE_MAX = 512
SINGLES_EVERY = 127


def packed(values):
    return base64.b64encode(zlib.compress(np.asarray(values, dtype="<f8").tobytes(), 9)).decode()


class Kept:
    """The columns of a fixture: equal masks and equal columns are kept once."""

    def __init__(self):
        self.masks = []
        self.columns = []

    def keep(self, values, whole=False):
        """The column's number. NaN is missing. `whole`: whole numbers (and halves), which are the same or they are not."""
        values = np.asarray(values, dtype=np.float64)
        there = ~np.isnan(values)
        if np.isinf(values).any():
            raise ValueError("an infinity is neither a value nor missing")
        small = len(values) <= WHOLE_MAX
        present = values[there]
        column = {
            "rows": len(values),
            "mask": self._number(self.masks, base64.b64encode(zlib.compress(np.packbits(there, bitorder="little").tobytes(), 9)).decode()),
            "singles": packed(values[:: 1 if small else SINGLES_EVERY]),
            "rms": math.sqrt(math.fsum(present * present) / max(len(present), 1)),
        }
        if not small:
            terms = np.where(there, values, 0) * (1 + np.arange(len(values)) * 5 % 7)
            column["sums"] = packed([math.fsum(terms[at : at + BLOCK_ROWS]) for at in range(0, len(values), BLOCK_ROWS)])
        if whole:
            if (present * 2 != np.round(present * 2)).any():
                raise ValueError("not whole numbers")
            column["digest"] = hashlib.sha256((np.where(there, values, 0) + 0.0).astype("<f8").tobytes()).hexdigest()[:16]
        return self._number(self.columns, column)

    def fields(self):
        return {"masks": self.masks, "columns": self.columns}

    @staticmethod
    def _number(kept, one):
        if one not in kept:
            kept.append(one)
        return kept.index(one)
