# Reads typedstreams, one a line as hex, and writes the text of each as a line of JSON; null where there is none.
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


for line in sys.stdin:
    try:
        print(json.dumps(text(typedstream.unarchive_from_data(bytes.fromhex(line.strip())))))
    except Exception as error:
        print(json.dumps({"error": type(error).__name__}))
