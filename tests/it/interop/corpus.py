"""Reads the cases of corpus/ with the parsers of prometheus_client, and compares the samples with the expected ones."""

import math
import re
import sys
from fractions import Fraction

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

BOUNDS = ("le", "quantile")


def cases(path):
    with open(path, encoding="utf-8") as file:
        corpus = "\n" + file.read()
    for case in corpus.split("\n== ")[1:]:
        head, expected = case.split("--\n", 1)
        lines = head.split("\n")[:-1]
        verdict, text = "agrees", []
        for line in lines[2:]:
            if line.startswith("@ "):
                verdict = re.match(r"@ (reads|refuses|differs): .", line).group(1)
            else:
                text.append(line + "\n")
        yield lines[0], verdict, shown("".join(text)), shown(expected)


def shown(text):
    return text.replace("␃\n", "").replace("→", "\t").replace("␍", "\r")


def samples(families):
    """Yields names, labels, values and milliseconds. Bounds are numbers. Skips the samples that our families cannot hold."""
    for family in families:
        created = [family.name + "_created"] if family.type in ("counter", "histogram", "summary") else []
        for sample in family.samples:
            if sample.name in created:
                continue
            labels = tuple(sorted((name, bound(name, value)) for name, value in sample.labels.items()))
            yield sample.name, labels, number(sample.value), milliseconds(sample.timestamp)


def bound(name, value):
    try:
        return number(float(value)) if name in BOUNDS else value
    except ValueError:
        return value


def number(value):
    value = float(value)
    return "nan" if math.isnan(value) else value + 0.0


def milliseconds(timestamp):
    if timestamp is None:
        return None
    if hasattr(timestamp, "sec"):
        return timestamp.sec * 1000 + math.copysign(timestamp.nsec, timestamp.sec) // 1_000_000
    # The timestamp of the text format, which the parser has divided by 1000.
    return math.floor(Fraction(round(float(timestamp) * 1e6), 1000))


def read(parse, text):
    try:
        return sorted(samples(parse(text)), key=repr)
    except Exception:
        return None


def main():
    count, wrong = 0, 0
    for path in sys.argv[1:]:
        parse = openmetrics.text_string_to_metric_families if "openmetrics" in path else parser.text_string_to_metric_families
        for name, verdict, text, expected in cases(path):
            count += 1
            is_skipped = re.search(r"^! ", expected, re.M) is not None
            ours = "".join(line + "\n" for line in expected.split("\n") if not line.startswith("! "))
            served = read(parser.text_string_to_metric_families, ours)
            theirs = read(parse, text)
            if theirs is None:
                found = "agrees" if is_skipped else "refuses"
            elif is_skipped:
                found = "reads"
            else:
                found = "agrees" if theirs == served else "differs"
            if found != verdict:
                wrong += 1
                print(f"{path}: {name}: the parser {found}, the case says that it {verdict}", file=sys.stderr)
                print(f"    theirs {theirs}\n    ours   {served}", file=sys.stderr)
    print(f"{count} cases, {wrong} wrong")
    sys.exit(wrong > 0 or count < 150)


main()
