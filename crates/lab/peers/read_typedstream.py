# Reads typedstreams, one a line as hex, and writes of each a line of JSON: its text (null where there is none), and its runs: how many
# UTF-16 units each has, and the names of its attributes.
import json
import sys

import typedstream


def text(value):
    value = getattr(value, "value", value)
    if isinstance(value, str):
        return value
    for group in getattr(value, "contents", []):
        for inner in getattr(group, "values", None) or [group.value]:
            found = text(inner)
            if found is not None:
                return found
    return None


def runs(root):
    # An attributed string is its text, then for each run a number and a length; a set of attributes follows its number's first run.
    runs, sets = [], []
    for group in root.contents[1:]:
        if list(group.encodings) == [b"i", b"I"]:
            runs.append(tuple(group.values))
        else:
            sets.extend([text(name) for name in value.contents] for value in group.values)
    return [[length, sets[number - 1]] for number, length in runs]


for line in sys.stdin:
    try:
        root = typedstream.unarchive_from_data(bytes.fromhex(line.strip()))
        print(json.dumps({"text": text(root), "runs": runs(root)}))
    except Exception as error:
        print(json.dumps({"error": type(error).__name__}))
