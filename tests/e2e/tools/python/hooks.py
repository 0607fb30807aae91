"""What Schemathesis has to know of the server: its scalars, and what a server error is.

Errors that a client causes are told in `errors` with a path, as GraphQL wants it, so only their code says whose fault it was.
"""

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes

FAULTS_OF_THE_SERVER = {"INTERNAL", "UNAVAILABLE", "INDETERMINATE", "TIMEOUT"}

texts = st.text(max_size=20)
dates = st.dates().map(lambda date: date.isoformat())
leaf = st.one_of(st.integers(-(2**70), 2**70).map(nodes.Int), st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float), texts.map(nodes.String), st.booleans().map(nodes.Boolean), st.just(nodes.Null))

schemathesis.graphql.scalar("JSON", leaf | st.lists(leaf, max_size=3).map(nodes.List))
schemathesis.graphql.scalar("BigInt", st.integers(-(2**70), 2**70).map(nodes.Int) | st.integers().map(str).map(nodes.String))
schemathesis.graphql.scalar("Timestamp", st.integers(0, 2**64).map(str).map(nodes.String) | texts.map(nodes.String))
schemathesis.graphql.scalar("Date", dates.map(nodes.String) | texts.map(nodes.String))
schemathesis.graphql.scalar("DateTime", dates.map(lambda date: nodes.String(f"{date}T10:00:00Z")) | texts.map(nodes.String))
schemathesis.graphql.scalar("Duration", st.sampled_from(["PT1S", "P3D", "P1Y2M", "x"]).map(nodes.String))
schemathesis.graphql.scalar("Bytes", st.binary(max_size=20).map(lambda it: nodes.String(it.hex())))


@schemathesis.check
def no_server_error(ctx, response, case):
    assert response.status_code < 500, f"{response.status_code}: {response.text[:500]}"
    for error in response.json().get("errors", []):
        code = error.get("extensions", {}).get("code")
        assert code is not None, f"an error without a code: {error}"
        assert code not in FAULTS_OF_THE_SERVER, f"{code}: {error['message']}"
