"""What somebody writes who uses gql: a schema fetched by introspection, operations checked against it, a subscription."""

import asyncio
import json
import sys

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport
from graphql import GraphQLError

ORIGIN = sys.argv[1]

SHELF = gql("query Shelf($filter: BookFilter) { books(filter: $filter, orderBy: [{year: DESC}], first: 2) { totalCount nodes { title isbn } } }")
RENAME = gql("mutation Rename($id: ID!, $patch: BookPatch!) { updateBook(id: $id, patch: $patch) { title } }")
TITLE = gql("subscription Title($id: ID!) { book(id: $id) { title } }")


def request(document, **values):
    document.variable_values = values
    return document


async def main():
    found = {}
    http = Client(transport=HTTPXAsyncTransport(url=f"{ORIGIN}/graphql"), fetch_schema_from_transport=True)
    async with http as session:
        shelf = await session.execute(request(SHELF, filter={"year": {"gte": 1982}}))
        found["total"] = shelf["books"]["totalCount"]
        found["titles"] = [book["title"] for book in shelf["books"]["nodes"]]
        try:
            await session.execute(gql("{ books { nodes { nothing } } }"))
        except GraphQLError as error:
            # The schema is known, so nothing was sent.
            found["refused"] = error.message
        websocket = WebsocketsTransport(
            url=f"{ORIGIN}/graphql".replace("http", "ws", 1),
            # The answer's header is read with regard to its case, and else taken for the older protocol.
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        )
        titles = []
        async with Client(transport=websocket, fetch_schema_from_transport=True) as live:
            async for event in live.subscribe(request(TITLE, id="5")):
                titles.append(event["book"]["title"])
                if len(titles) == 2:
                    break
                await session.execute(request(RENAME, id="5", patch={"title": "Fifth"}))
        found["live"] = titles
        await session.execute(request(RENAME, id="5", patch={"title": "Book 05"}))
        try:
            await session.execute(gql('mutation { createBook(id: "5", input: {title: "x"}) { id } }'))
        except TransportQueryError as error:
            found["code"] = error.errors[0]["extensions"]["code"]
    print(json.dumps(found))


asyncio.run(asyncio.wait_for(main(), 60))
