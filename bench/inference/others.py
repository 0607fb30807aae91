"""What genson and DuckDB infer from files of documents: JSON in, JSON out. See `compare.mjs`.

The schema of DuckDB's types is given in the form of JSON Schema, so that both are counted alike.
"""

import json
import statistics
import sys
import time

import duckdb
from genson import SchemaBuilder


def timed(infer, rounds):
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        found = infer()
        seconds.append(time.perf_counter() - begun)
    return found, statistics.median(seconds)


def by_genson(file):
    builder = SchemaBuilder()
    with open(file, encoding="utf-8") as text:
        for document in json.load(text):
            builder.add_object(document)
    return builder.to_schema()


def schema_of(kind):
    if str(kind) == "JSON":
        return {}
    if kind.id == "struct":
        return {"type": "object", "properties": {name: schema_of(it) for name, it in kind.children}}
    if kind.id == "list":
        return {"type": "array", "items": schema_of(kind.children[0][1])}
    if kind.id == "map":
        return {"type": "object", "additionalProperties": schema_of(kind.children[1][1])}
    return {"type": kind.id}


def by_duckdb(file):
    with duckdb.connect() as connection:
        found = connection.sql("SELECT * FROM read_json_auto($file)", params={"file": file})
        return {"type": "object", "properties": {name: schema_of(it) for name, it in zip(found.columns, found.types)}}


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(it) for name, it in value.items() if it is not None}
    if isinstance(value, list):
        return [without_nulls(it) for it in value]
    return value


def differing_in_duckdb(file):
    """How many documents come back other than they went in, null being the same as absent."""
    with open(file, encoding="utf-8") as text:
        documents = json.load(text)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE documents AS SELECT * FROM read_json_auto($file)", {"file": file})
        rows = connection.execute("SELECT to_json(documents) FROM documents").fetchall()
    pairs = zip(documents, rows, strict=True)
    return sum(without_nulls(document) != without_nulls(json.loads(row)) for document, (row,) in pairs)


def main():
    request = json.load(sys.stdin)
    found = []
    for file in request["files"]:
        try:
            if request["tool"] == "genson":
                schema, seconds = timed(lambda: by_genson(file), request["rounds"])
                found.append({"schema": schema, "seconds": seconds})
            else:
                schema, seconds = timed(lambda: by_duckdb(file), request["rounds"])
                found.append({"schema": schema, "seconds": seconds, "differing": differing_in_duckdb(file)})
        except Exception as error:  # Whatever a tool says is its answer.
            found.append({"refused": str(error)})
    json.dump(found, sys.stdout)


main()
