"""fuzz_hooks - where a check of schemathesis knows less than HTTP, or than a schema can say, and why; see fuzz_test.py.

Each exception is as narrow as its reason. What is not named here is a failure.
"""
import json

import schemathesis

KEY_BYTES = 511


@schemathesis.serializer("application/jsonl", "application/x-ndjson")
def print_lines(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.deserializer("application/jsonl", "application/x-ndjson")
def read_lines(ctx, response):
    """What the answer's schema calls them: a text. Each of its lines is JSON."""
    text = response.content.decode("utf-8")
    for line in text.splitlines():
        json.loads(line)
    return text


def more_bytes(text):
    """Its characters fit into 511, its bytes do not."""
    return isinstance(text, str) and len(text) <= KEY_BYTES < len(text.encode("utf-8", "surrogatepass"))


def is_beyond_schemas(case):
    """Is it wrong in a way that the schemas of the description cannot say?"""
    query = case.query or {}
    bounds = [(case.path_parameters or {}).get("key"), *(query.get(name) for name in ("prefix", "start", "end"))]
    return (
        any(map(more_bytes, bounds))  # a schema counts characters, keys are counted in bytes
        or ("index" in query and not query.keys().isdisjoint(("prefix", "start", "end")))  # which do not go with an index
        or not query.keys().isdisjoint(("value", "from", "to"))  # they need an index and are of its kind, from and to of one type
        or "cursor" in query  # opaque: valid is what a page gave
        or ("partition" in query and "keyspace" not in query)  # /verify: one parameter needs the other
        or str((case.headers or {}).get("Affinity-Consistency", "")).startswith("at-least=")  # of the partition that the key is in
    )


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """True: it is one."""
    kind = type(failure).__name__
    if kind == "UseAfterFree" and case.method.upper() == "OPTIONS":
        return False  # OPTIONS tells what can be done at the path, be there a value or not (RFC 9110, 9.3.7)
    if kind == "UseAfterFree" and case.method.upper() == "PATCH" and response.status_code == 201:
        return False  # a merge patch creates what is not there (RFC 7396, 2), also what was deleted before
    if kind == "AcceptedNegativeData" and "in header - object with unexpected properties" in failure.message:
        return False  # a field that is not known is ignored (RFC 9110, 5.1)
    return not (kind == "RejectedPositiveData" and response.status_code == 400 and is_beyond_schemas(case))
