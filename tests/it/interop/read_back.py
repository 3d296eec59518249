"""Reads a text exposition with PyPI's prometheus-client, and writes it as JSON. Writes the bits of floats, to lose none."""

import json
import struct
import sys

from prometheus_client.parser import text_string_to_metric_families

text = sys.stdin.buffer.read().decode("utf-8")
families = [
    {
        "name": family.name,
        "type": family.type,
        "help": family.documentation,
        "samples": [
            {"name": s.name, "labels": s.labels, "bits": struct.pack(">d", s.value).hex()} for s in family.samples
        ],
    }
    for family in text_string_to_metric_families(text)
]
json.dump(families, sys.stdout)
