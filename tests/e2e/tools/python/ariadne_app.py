"""What somebody writes with the client that ariadne-codegen generates: typed arguments and results."""

import asyncio
import json
import sys

from library_client import BookFilter, BookOrderBy, BookPatch, IntFilter, Library, OrderDirection

ORIGIN = sys.argv[1]


async def main():
    async with Library(url=f"{ORIGIN}/graphql", ws_url=f"{ORIGIN}/graphql".replace("http", "ws", 1)) as library:
        shelf = await library.shelf(filter_=BookFilter(year=IntFilter(gte=1982)), order_by=[BookOrderBy(year=OrderDirection.DESC)])
        first = shelf.books.nodes[0]
        # Only what is set is sent, so a patch leaves the rest alone; None that is set removes.
        repriced = (await library.reprice(id="6", patch=BookPatch(price=1.5))).update_book
        emptied = (await library.reprice(id="6", patch=BookPatch(pages=None))).update_book
        book = (await library.any_book()).book
        node = (await library.anything(node_id=book.node_id)).node
        live = [event.book.title async for event in once(library.title(id="7"))]
        print(
            json.dumps(
                {
                    "total": shelf.books.total_count,
                    "titles": [line.title for line in shelf.books.nodes],
                    "isbn": first.isbn,
                    "added": first.added.isoformat(),
                    "repriced": [repriced.title, repriced.price, repriced.pages],
                    "emptied": [emptied.title, emptied.price, emptied.pages],
                    "node": node.title,
                    "live": live,
                }
            )
        )


async def once(events):
    async for event in events:
        yield event
        return


asyncio.run(asyncio.wait_for(main(), 60))
