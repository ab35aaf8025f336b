"""Writes kernels/fixtures/powers.json: powers and exponentials rounded correctly by mpmath, random ones and such as are hard to round."""
import json
import pathlib
import random

import mpmath

mpmath.mp.prec = 600
draw = random.Random(20261127)


def rounded(value):
    """To the nearest float, ties to even, below the normal numbers too."""
    if value == 0:
        return 0.0
    mantissa, exponent = mpmath.frexp(value)
    place = max(int(exponent) - 53, -1074)
    if exponent > 1024:
        return "Infinity"
    scaled = mpmath.ldexp(value, -place)
    whole = int(mpmath.floor(scaled))
    past = scaled - whole - mpmath.mpf(0.5)
    # Of mpmath's 600 bits some are lost; only true middles are so near.
    up = whole % 2 == 1 if abs(past) < mpmath.ldexp(1, -500) else past > 0
    number = mpmath.ldexp(mpmath.mpf(whole + (1 if up else 0)), place)
    return "Infinity" if number >= mpmath.ldexp(1, 1024) else float(number)


def power(x, y):
    return rounded(mpmath.mpf(x) ** mpmath.mpf(y))


def anywhere():
    x = draw.uniform(1, 2) * 2.0 ** draw.randint(-1022, 1022)
    return x, draw.uniform(-1.01, 1.01) * 745 / max(abs(float(mpmath.log(x))), 1e-3)


pairs = [anywhere() for _ in range(500)]
pairs += [(draw.uniform(0.01, 100), 252 / draw.randint(2, 100_000)) for _ in range(500)]
pairs += [(5e-324 * draw.randint(1, 2**50), draw.uniform(-1, 1)) for _ in range(50)]
# Near 1, where powers come within 2^-100 of the middle between two numbers, on one side or the other.
pairs += [(1 + draw.randint(-40, 40) * 2.0**-52, draw.choice([0.5, 1.5, 2.5, 0.75, -0.5, 3.5, draw.uniform(-3, 3)])) for _ in range(200)]
# In the middle: squares of 27 bits, cubes of 18, powers 5/2 of squares; and results below the normal numbers.
pairs += [(float(draw.randrange(2**26 + 1, 2**27, 2)), 2.0) for _ in range(100)]
pairs += [(float(draw.randrange(2**17 + 1, 2**18, 2)), 3.0) for _ in range(50)]
pairs += [(float(draw.randrange(2**10 + 1, 2**11, 2) ** 2), 2.5) for _ in range(50)]
pairs += [(draw.randrange(1, 100) * 2.0**-538, 2.0) for _ in range(50)]
pairs += [(draw.uniform(1, 2) * 2.0**-700, draw.uniform(1.45, 1.54)) for _ in range(100)]
exponents = [draw.uniform(-746, 710) for _ in range(300)] + [draw.uniform(-746, -708) for _ in range(100)]
exponents += [draw.choice([-1, 1]) * draw.randint(1, 9) * 2.0 ** -draw.randint(50, 56) for _ in range(100)]
fixture = {"power": [[x, y, power(x, y)] for x, y in pairs], "exponential": [[x, rounded(mpmath.exp(mpmath.mpf(x)))] for x in exponents]}
path = pathlib.Path(__file__).parent / "../../kernels/fixtures/powers.json"
path.write_text(json.dumps(fixture) + "\n")
