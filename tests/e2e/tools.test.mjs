// The tools of the ecosystem run on the served schema unchanged: what they generate compiles, and what is compiled works.

import { strict as assert } from "node:assert";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";
import { Events } from "./events.mjs";
import { books, startLibrary } from "./tools/library.mjs";
import { runs, start, tool, workIn, workOn } from "./tools/run.mjs";

let server;
before(async () => (server = await startLibrary()));
after(() => server.stop());

/** Compiles an application as strictly as can be, runs it against the server, and gives what it prints. */
async function compileAndRun(directory) {
  await runs(tool("tsc"), ["--project", "."], directory);
  return JSON.parse(await runs("node", [join("out", "app.js"), server.origin], directory));
}

test("GraphQL Code Generator with the client preset, and tsc --strict", async () => {
  const directory = workOn("typescript", server);
  await runs(tool("graphql-codegen"), ["--config", "codegen.json"], directory);
  const { books: found } = await server.run(
    "{ books(filter: {year: {gte: 1982}, tags: {some: {eq: \"novel\"}}}, orderBy: [{year: DESC}], first: 2) { totalCount nodes { title isbn } } }",
  );
  assert.deepEqual(await compileAndRun(directory), {
    total: found.totalCount,
    titles: found.nodes.map(({ title }) => title),
    copies: [111, 7],
    isbn: found.nodes[0].isbn,
    repriced: { title: "Book 02", price: 1.5, pages: null },
    named: "Book 01",
    refused: "object",
  });
});

test("gql.tada, and tsc --strict", async () => {
  const directory = workOn("tada", server);
  await runs(tool("gql.tada"), ["generate-output"], directory);
  assert.deepEqual(await compileAndRun(directory), {
    total: 4,
    titles: ["Book 04", "Book 03"],
    cities: ["Ulm", null],
    isbn: books[3].isbn,
    missing: null,
    wrong: true,
  });
});

for (const { ids, own, global, stores } of [
  { ids: "local", own: "id", global: "nodeId", stores: ["codegen's getDataID"] },
  { ids: "relay", own: "rowId", global: "id", stores: ["codegen's getDataID", "by-default"] },
]) {
  describe(`relay-compiler and relay-runtime, with --ids ${ids}`, () => {
    let library;
    let directory;
    before(async () => {
      library = await startLibrary({ options: ["--ids", ids] });
      // Objects inside documents whose ids are unique nowhere.
      const place = (room) => ({ id: 1, room });
      await library.importInto("shelves", [{ id: "1", place: place("A") }, { id: "2", place: place("B") }]);
      directory = workOn("relay", library);
      for (const name of ["app.ts", "documents.ts"]) {
        const path = join(directory, "src", name);
        writeFileSync(path, readFileSync(path, "utf8").replaceAll("OWN_ID", own).replaceAll("GLOBAL_ID", global));
      }
      const codegen = ["codegen", "--lang", "relay", "--documents", "src/**/*.ts", "--out", "relay", "--server", library.origin];
      await runs(process.env.THALWEG_BIN, codegen, directory);
      // Its paths are seen from where the compiler is run.
      const { code, printed } = await start(tool("relay-compiler"), [], join(directory, "relay"));
      assert.equal(code, 0, printed);
      assert.doesNotMatch(printed, /error|warn/i, printed);
      await runs(tool("tsc"), ["--project", "."], directory);
    });
    after(() => library.stop());

    for (const store of stores) {
      test(`pagination, refetching, and two collections that share ids: ${store}`, async () => {
        const isDefault = store === "by-default";
        await library.run(`mutation { updateBook(${own}: "1", patch: { price: 9.5 }) { ${own} } }`);
        const app = [join("out", "src", "app.js"), library.origin, ...(isDefault ? [store] : [])];
        const { rooms, ...result } = JSON.parse(await runs("node", app, directory));
        const titles = books.map(({ title }) => title);
        assert.deepEqual(result, {
          // The store keeps one list, which grows by a page each time.
          pages: [titles.slice(0, 5), titles.slice(0, 10), titles],
          sameId: true,
          author: "Author 1",
          book: "Book 01",
          before: 9.5,
          after: 3.25,
          refetched: 3.25,
          scalars: ["number", "string", "object"],
        });
        assert.deepEqual(rooms, isDefault ? undefined : ["A", "B"]);
      });
    }

    test("what is stored and exported has the names that it was given", async () => {
      const exported = await (await fetch(`${library.origin}/export/shelves`)).text();
      assert.deepEqual(JSON.parse(exported.split("\n")[0]), { id: "1", place: { id: 1, room: "A" } });
      const { node, shelf } = await library.run(
        `query ($id: ID!) { node(${global}: $id) { __typename ${global} } shelf(${own}: "1") { ${global} _json } }`,
        { id: (await library.run(`{ shelf(${own}: "1") { ${global} } }`)).shelf[global] },
      );
      assert.deepEqual(node, { __typename: "Shelf", [global]: shelf[global] });
      assert.equal(shelf._json.id, "1");
    });
  });
}

describe("@urql/core", () => {
  const socket = () => createWsClient({ url: server.webSocketUrl, webSocketImpl: WebSocket, retryAttempts: 0 });
  let client;
  let webSocket;
  before(() => {
    webSocket = socket();
    client = new Client({
      url: server.graphqlUrl,
      preferGetMethod: false,
      exchanges: [
        cacheExchange,
        fetchExchange,
        subscriptionExchange({
          forwardSubscription: (request) => ({
            subscribe: (observer) => ({ unsubscribe: webSocket.subscribe({ ...request, query: request.query ?? "" }, observer) }),
          }),
        }),
      ],
    });
  });
  after(() => webSocket.dispose());

  const TITLE = "query ($id: ID!) { book(id: $id) { id title } }";
  const RENAME = "mutation ($id: ID!, $patch: BookPatch!) { updateBook(id: $id, patch: $patch) { id title } }";

  test("a mutation makes a cached query stale", async () => {
    const title = async () => (await client.query(TITLE, { id: "3" }).toPromise()).data.book.title;
    assert.equal(await title(), "Book 03");
    const { data, error } = await client.mutation(RENAME, { id: "3", patch: { title: "Third" } }).toPromise();
    assert.equal(error, undefined);
    assert.equal(data.updateBook.title, "Third");
    assert.equal(await title(), "Third");
    await client.mutation(RENAME, { id: "3", patch: { title: "Book 03" } }).toPromise();
  });

  test("a subscription", async () => {
    const events = new Events((observer) => {
      const { unsubscribe } = client.subscription("subscription ($id: ID!) { book(id: $id) { title } }", { id: "4" }).subscribe((result) => observer.next(result));
      return unsubscribe;
    });
    assert.equal((await events.next()).data.book.title, "Book 04");
    await client.mutation(RENAME, { id: "4", patch: { title: "Fourth" } }).toPromise();
    assert.equal((await events.next()).data.book.title, "Fourth");
    events.stop();
    await client.mutation(RENAME, { id: "4", patch: { title: "Book 04" } }).toPromise();
  });

  test("an error carries its code", async () => {
    const { error } = await client.query("{ books { nodes { nothing } } }", {}).toPromise();
    assert.equal(error.graphQLErrors[0].extensions.code, "VALIDATION_FAILED");
  });
});

test("graphql-inspector tells an addition from a change that breaks clients", async () => {
  const directory = workIn("inspector");
  const write = async (name) => {
    writeFileSync(join(directory, name), await server.sdl());
    return name;
  };
  const old = await write("old.graphql");
  await server.run('mutation { insertDocuments(collection: "authors", documents: [{id: "new", pen_name: "X"}]) }');
  const fresh = await write("new.graphql");
  const forward = await start(tool("graphql-inspector"), ["diff", old, fresh], directory);
  assert.equal(forward.code, 0, forward.printed);
  assert.match(forward.printed, /Field pen_name was added to object type Author/);
  const back = await start(tool("graphql-inspector"), ["diff", fresh, old], directory);
  assert.equal(back.code, 1, back.printed);
  assert.match(back.printed, /Field pen_name was removed from object type Author/);
});
