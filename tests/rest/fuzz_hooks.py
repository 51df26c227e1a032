"""fuzz_hooks - where a check of schemathesis knows less than HTTP, or than a schema can say, and why; see fuzz_test.py.

Each exception is as narrow as its reason. What is not named here is a failure.
"""
import schemathesis

KEY_BYTES = 511


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """True: it is one."""
    kind, key = type(failure).__name__, (case.path_parameters or {}).get("key", "")
    detail = response.text if response.status_code == 400 else ""
    if kind == "UseAfterFree" and case.method.upper() == "OPTIONS":
        return False  # OPTIONS tells what can be done at the path, be there a value or not (RFC 9110, 9.3.7)
    if kind == "AcceptedNegativeData" and "in header - object with unexpected properties" in failure.message:
        return False  # a field that is not known is ignored (RFC 9110, 5.1)
    if kind == "RejectedPositiveData" and "a key has at most 511 bytes" in detail:
        return len(key) > KEY_BYTES  # a schema counts characters, HTTP and we count bytes
    if kind == "RejectedPositiveData" and "a partition needs its keyspace" in detail:
        return False  # OpenAPI cannot say of two parameters that one needs the other
    return True
