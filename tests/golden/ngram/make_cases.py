"""Interpolated modified Kneser-Ney, computed from its formulas by listing n-grams: writes cases.json beside this file.

Chen and Goodman, "An empirical study of smoothing techniques for language modeling", TR-10-98. Everything is recomputed from the rows for
every probability, in exact fractions; only the logarithm is rounded.
"""
import json
import math
import os
import random
from fractions import Fraction

START = "start"  # stands before a row; no k-gram contains it, but it is a left neighbour


def occurrences(rows, k):
    """(left neighbour, k-gram) of each k-gram that ends at a row's second token or later."""
    for row in rows:
        for end in range(2, len(row) + 1):
            if end >= k:
                begin = end - k
                yield (row[begin - 1] if begin > 0 else START), tuple(row[begin:end])


def counts(rows, k, order):
    seen = list(occurrences(rows, k))
    if k == order:
        out = {}
        for _, gram in seen:
            out[gram] = out.get(gram, 0) + 1
        return out
    neighbours = {}
    for left, gram in seen:
        neighbours.setdefault(gram, set()).add(left)
    return {gram: len(lefts) for gram, lefts in neighbours.items()}


def discounts(table):
    n = [sum(1 for c in table.values() if c == j) for j in range(5)]
    if n[1] == 0:
        return [Fraction(0)] + [Fraction(1, 2)] * 3
    y = Fraction(n[1], n[1] + 2 * n[2])
    if n[2] and n[3]:
        d = [j - (j + 1) * y * Fraction(n[j + 1], n[j]) for j in (1, 2, 3)]
        if min(d) >= 0:
            return [Fraction(0)] + d
    return [Fraction(0)] + [y] * 3


def probability(tables, vocab, context, word, k):
    if k == 0:
        return Fraction(1, vocab)
    lower = probability(tables, vocab, context, word, k - 1)
    if len(context) < k - 1:
        return lower
    h = tuple(context[len(context) - (k - 1):])
    table, d = tables[k]
    after = {gram[-1]: c for gram, c in table.items() if gram[:-1] == h}
    total = sum(after.values())
    if total == 0:
        return lower
    kept = after.get(word, 0) - d[min(after.get(word, 0), 3)]
    gamma = sum(d[min(c, 3)] for c in after.values())
    return (kept + gamma * lower) / total


def nats(rows, order, vocab, test):
    tables = {}
    for k in range(1, order + 1):
        table = counts(rows, k, order)
        tables[k] = (table, discounts(table))
    out = []
    for i in range(1, len(test)):
        p = probability(tables, vocab, test[:i], test[i], order)
        out.append(-(math.log(p.numerator) - math.log(p.denominator)))
    return out


def main():
    draw = random.Random(20)
    cases = []
    for order, vocab, lengths, ids in [(1, 6, [40], 5), (2, 8, [60, 3, 2], 7), (3, 8, [17] * 9, 6), (5, 12, [33] * 12, 9), (5, 30, [200], 20),
                                       (4, 4, [9, 9], 3), (7, 5, [2, 5, 3, 40], 4)]:
        rows = []
        for length in lengths:
            row = [draw.randrange(ids)]
            while len(row) < length:  # the next id is often a function of the last two
                row.append((row[-1] * 3 + (row[-2] if len(row) > 1 else 0) + 1) % ids if draw.random() < 0.6 else draw.randrange(ids))
            rows.append(row)
        test = rows[0][:12] + [draw.randrange(vocab) for _ in range(25)] + rows[-1]
        cases.append({"order": order, "vocab": vocab, "rows": rows, "test": test, "nats": nats(rows, order, vocab, test)})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.json")
    with open(path, "w", encoding="utf-8") as out:
        out.write('{"cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


main()
