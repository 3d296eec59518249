"""Reads expositions with the parsers of PyPI's prometheus-client. The parser of OpenMetrics is strict.

Standard input has one JSON object a line: "format", "body", and the expected "samples". If "samples" is null, the
body must only be valid. A sample is [name, [[label, value], ...] sorted, bits of the value, milliseconds or null].
"""

import json
import struct
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as strict

READERS = {
    "text": parser.text_string_to_metric_families,
    "openmetrics": strict.text_string_to_metric_families,
}


def bits(value):
    # The parser reads -0 as an integer, which has no sign.
    value = float(value) + 0.0
    return "nan" if value != value else struct.pack(">d", value).hex()


def milliseconds(timestamp):
    if timestamp is None:
        return None
    if isinstance(timestamp, float):
        return round(timestamp * 1000)
    return timestamp.sec * 1000 + timestamp.nsec // 1_000_000


def samples(families):
    for family in families:
        for sample in family.samples:
            name = sample.name
            labels = sorted([label, value] for label, value in sample.labels.items())
            yield [name, labels, bits(sample.value), milliseconds(sample.timestamp)]


read, wrong = 0, 0
for line in sys.stdin:
    case = json.loads(line)
    try:
        found = sorted(samples(READERS[case["format"]](case["body"])), key=repr)
        expected = found if case["samples"] is None else sorted(case["samples"], key=repr)
        if found != expected:
            extra = [sample for sample in found if sample not in expected]
            missing = [sample for sample in expected if sample not in found]
            raise ValueError(f"read {extra} and not {missing}")
    except Exception as error:
        wrong += 1
        print(f"{error!r} in {case['format']}\n{case['body']}", file=sys.stderr)
    read += 1
print(f"{read} read, {wrong} wrong")
sys.exit(wrong > 0 or read == 0)
