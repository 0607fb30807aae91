// What live queries are known to get wrong, each by its name. Of every event it is said what it must be, and that nothing came
// between is proved by a mark: all live queries of a WebSocket are told of together.

import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { buildSchema } from "graphql";
import WebSocket from "ws";
import { Connection, Follower } from "./live/audience.mjs";
import { askedOnce, timeOf } from "./live/past.mjs";
import { startServer } from "./own_server.mjs";

let server;
let marks = 0;

before(async () => {
  server = await startServer();
  await server.importInto("marks", [{ id: "mark", text: "begun" }]);
});
after(() => server.stop());

/** A live query of a connection of its own, which lives as long as the test. */
async function watching(t, query, variables) {
  const connection = new Connection(server.webSocketUrl);
  t.after(() => connection.dispose());
  const follower = new Follower(connection, { query, variables, isPatched: query.includes("patch: true") });
  await follower.until(() => true, "the first result");
  let seen = 0;
  const told = {
    follower,
    /** Waits until all that was written has been told, and gives what has come since the last look. */
    async since() {
      for (let times = 0; times < 2; times += 1) await connection.until(await mark());
      assert.deepEqual(connection.faults, []);
      assert.deepEqual(follower.gaps, []);
      const events = follower.events.slice(seen);
      seen = follower.events.length;
      for (const { errors } of events) assert.equal(errors, undefined);
      return events.map(({ data }) => data);
    },
    /** There is one event more, and it shows this, which is what a query shows as well. */
    async is(expected) {
      assert.deepEqual(await told.since(), [expected]);
      const fresh = await server.run(askedOnce(query, buildSchema(await server.sdl())).now, variables);
      assert.deepEqual(fresh, expected);
    },
    async isNothing() {
      assert.deepEqual(await told.since(), []);
    },
  };
  return told;
}

async function mark() {
  const text = `mark ${(marks += 1)}`;
  await server.run("mutation ($text: String) { updateMark(id: \"mark\", patch: {text: $text}) { id } }", { text });
  return text;
}

const write = (text, variables) => server.run(`mutation { ${text} }`, variables);

async function figure(name) {
  const text = await (await fetch(`${server.origin}/metrics`)).text();
  return Number(new RegExp(`^thalweg_live_${name} (\\d+)`, "m").exec(text)[1]);
}

/** How much figures grow while something is done, without what marks add. */
async function growth(names, action) {
  const figures = async () => Promise.all(names.map(figure));
  const before = await figures();
  const marksBefore = marks;
  await action();
  const now = await figures();
  return now.map((value, index) => value - before[index] - (marks - marksBefore));
}

const nodes = (...rows) => ({ nodes: rows });

describe("a filter", () => {
  const lamps = [{ id: "a", watts: 5, room: "hall" }, { id: "b", watts: 9, room: "hall" }, { id: "c", watts: 40, room: "attic" }];
  before(() => server.importInto("lamps", lamps));

  for (const live of ["@live", "@live(patch: true)"]) {
    test(`a document leaves it and enters it again, ${live}`, async (t) => {
      const told = await watching(t, `query ${live} { lamps(filter: {watts: {lt: 10}}) { nodes { id room } totalCount } }`);
      const [a, b, c] = [["a", "hall"], ["b", "hall"], ["c", "attic"]].map(([id, room]) => ({ id, room }));
      await told.is({ lamps: { ...nodes(a, b), totalCount: 2 } });
      await write("updateLamp(id: \"a\", patch: {watts: 60}) { id }");
      await told.is({ lamps: { ...nodes(b), totalCount: 1 } });
      await write("updateLamp(id: \"a\", patch: {watts: 5}) { id }");
      await told.is({ lamps: { ...nodes(a, b), totalCount: 2 } });
      await write("updateLamp(id: \"c\", patch: {watts: 9}) { id }");
      await told.is({ lamps: { ...nodes(a, b, c), totalCount: 3 } });
      await write("updateLamp(id: \"c\", patch: {watts: 40}) { id }");
      await told.is({ lamps: { ...nodes(a, b), totalCount: 2 } });
    });
  }

  test("a document changes within it, where the filter's field is not shown", async (t) => {
    const told = await watching(t, "query @live { lamps(filter: {watts: {lt: 10}}) { nodes { id } } }");
    await told.is({ lamps: nodes({ id: "a" }, { id: "b" }) });
    await write("updateLamp(id: \"a\", patch: {watts: 6}) { id }");
    await told.isNothing();
    await write("updateLamp(id: \"a\", patch: {watts: 5}) { id }");
    await told.isNothing();
  });

  test("several documents of one mutation are one event", async (t) => {
    const told = await watching(t, "query @live { lamps(filter: {room: {eq: \"hall\"}}) { totalCount } lampsAggregate { max { watts } } }");
    await told.is({ lamps: { totalCount: 2 }, lampsAggregate: { max: { watts: 40 } } });
    await write(`
      a: updateLamp(id: "a", patch: {room: "attic"}) { id }
      b: updateLamp(id: "b", patch: {room: "attic"}) { id }
      c: updateLamp(id: "c", patch: {watts: 41}) { id }
    `);
    await told.is({ lamps: { totalCount: 0 }, lampsAggregate: { max: { watts: 41 } } });
    await write("updateLamps(filter: {watts: {lt: 10}}, patch: {room: \"hall\"}) { count } c: updateLamp(id: \"c\", patch: {watts: 40}) { id }");
    await told.is({ lamps: { totalCount: 2 }, lampsAggregate: { max: { watts: 40 } } });
  });

  test("what is not looked at wakes nobody", async (t) => {
    const told = await watching(t, "query @live { lamps(filter: {room: {eq: \"hall\"}}) { nodes { id } } }");
    await told.is({ lamps: nodes({ id: "a" }, { id: "b" }) });
    const unread = async () => {
      await write("updateLamp(id: \"a\", patch: {watts: 7}) { id }");
      await write("updateLamp(id: \"a\", patch: {watts: 5}) { id }");
      await told.isNothing();
    };
    assert.deepEqual(await growth(["matched_total", "woken_total", "messages_total"], unread), [0, 0, 0]);
    // The next event is that of what is looked at.
    await write("updateLamp(id: \"a\", patch: {watts: 7}) { id }");
    await write("updateLamp(id: \"b\", patch: {room: \"attic\"}) { id }");
    await told.is({ lamps: nodes({ id: "a" }) });
    await write("a: updateLamp(id: \"a\", patch: {watts: 5}) { id } b: updateLamp(id: \"b\", patch: {room: \"hall\"}) { id }");
    await told.is({ lamps: nodes({ id: "a" }, { id: "b" }) });
  });
});

describe("a page", () => {
  const ids = ["a", "b", "c", "d", "e"];
  before(() => server.importInto("runners", ids.map((id, index) => ({ id, time: 10 * (index + 1), team: "red" }))));
  /** A document is put to a time and back, over the border of the page and within either side of it. */
  const pages = [
    ["orderBy and first", "first: 2", { c: 5, shown: ["c", "a"], gone: "b", far: "e" }],
    ["orderBy and last", "last: 2", { c: 60, shown: ["e", "c"], gone: "d", far: "a" }],
    ["orderBy, first and offset", "first: 2, offset: 1", { e: 15, shown: ["e", "b"], gone: "c", far: undefined }],
  ];
  const start = { "first: 2": ["a", "b"], "last: 2": ["d", "e"], "first: 2, offset: 1": ["b", "c"] };
  for (const [name, page, { shown, far, ...moved }] of pages) {
    for (const live of ["@live", "@live(patch: true)"]) {
      test(`${name}: a document comes over its border and goes back, ${live}`, async (t) => {
        const told = await watching(t, `query ${live} { runners(orderBy: [{time: ASC}], ${page}) { nodes { id } } }`);
        const is = (of) => told.is({ runners: { nodes: of.map((id) => ({ id })) } });
        await is(start[page]);
        const [[id, time]] = Object.entries(moved).filter(([key]) => ids.includes(key));
        await write(`updateRunner(id: "${id}", patch: {time: ${time}}) { id }`);
        await is(shown);
        await write(`updateRunner(id: "${id}", patch: {time: ${10 * (ids.indexOf(id) + 1)}}) { id }`);
        await is(start[page]);
        if (!far) return;
        // Beyond the border nothing shows, whatever is written there, unless it crosses.
        await write(`updateRunner(id: "${far}", patch: {time: ${far === "a" ? 1 : 99}}) { id }`);
        await told.isNothing();
        await write(`updateRunner(id: "${far}", patch: {time: ${10 * (ids.indexOf(far) + 1)}}) { id }`);
        await told.isNothing();
      });
    }
  }

  test("one of it is deleted, and the next one moves up; restored, it goes", async (t) => {
    const list = "runners(orderBy: [{time: ASC}], first: 2) { nodes { id } pageInfo { hasNextPage } }";
    const told = await watching(t, `query @live(patch: true) { ${list} }`);
    const is = (...of) => told.is({ runners: { nodes: of.map((id) => ({ id })), pageInfo: { hasNextPage: true } } });
    await is("a", "b");
    await write("deleteRunner(id: \"a\") { id }");
    await is("b", "c");
    await write("restoreRunner(id: \"a\") { id }");
    await is("a", "b");
  });

  test("after a cursor, whose document moves or goes", async (t) => {
    const { runners } = await server.run("{ runners(orderBy: [{time: ASC}], first: 2) { pageInfo { endCursor } } }");
    const list = "runners(orderBy: [{time: ASC}], first: 2, after: $after) { nodes { id } pageInfo { hasNextPage } }";
    const told = await watching(t, `query ($after: String) @live { ${list} }`, { after: runners.pageInfo.endCursor });
    const is = (of, hasNextPage = true) => told.is({ runners: { nodes: of.map((id) => ({ id })), pageInfo: { hasNextPage } } });
    await is(["c", "d"]);
    await write("deleteRunner(id: \"b\") { id }");
    await told.isNothing();
    await write("restoreRunner(id: \"b\") { id }");
    await told.isNothing();
    await write("updateRunner(id: \"b\", patch: {time: 25}) { id }");
    await is(["b", "c"]);
    await write("updateRunner(id: \"b\", patch: {time: 20}) { id }");
    await is(["c", "d"]);
    await write("deleteRunner(id: \"e\") { id }");
    await is(["c", "d"], false);
    await write("restoreRunner(id: \"e\") { id }");
    await is(["c", "d"]);
  });

  test("totalCount changes while the page stays as it is", async (t) => {
    const told = await watching(t, "query @live { runners(orderBy: [{time: ASC}], first: 2) { nodes { id } totalCount } }");
    const is = (totalCount) => told.is({ runners: { ...nodes({ id: "a" }, { id: "b" }), totalCount } });
    await is(5);
    await write("createRunner(input: {id: \"z\", time: 1000}) { id }");
    await is(6);
    await write("deleteRunner(id: \"z\", permanent: true) { id }");
    await is(5);
  });

  test("an empty page tells whether there is anything", async (t) => {
    const told = await watching(t, "query @live { runners(filter: {team: {eq: \"blue\"}}, first: 0) { nodes { id } pageInfo { hasNextPage } } }");
    await told.is({ runners: { nodes: [], pageInfo: { hasNextPage: false } } });
    await write("updateRunner(id: \"c\", patch: {team: \"blue\"}) { id }");
    await told.is({ runners: { nodes: [], pageInfo: { hasNextPage: true } } });
    await write("updateRunner(id: \"c\", patch: {team: \"red\"}) { id }");
    await told.is({ runners: { nodes: [], pageInfo: { hasNextPage: false } } });
  });
});

describe("related documents", () => {
  before(async () => {
    await server.importInto("bands", [{ id: "b1", name: "Can", founded: 1968 }, { id: "b2", name: "Neu!", founded: 1971 }]);
    await server.importInto("songs", [
      { id: "s1", title: "Vitamin C", band_id: "b1", writer_ids: ["b1", "b2"] },
      { id: "s2", title: "Hallogallo", band_id: "b2", writer_ids: [] },
    ]);
    const sdl = `
      type Band @collection(name: "bands") { id: ID! }
      type Song @collection(name: "songs") {
        band: Band @relation(field: "band_id", inverse: "songs")
        writers: [Band] @relation(field: "writer_ids", inverse: "written")
      }`;
    await server.run("mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }", { sdl });
  });

  test("to one: it changes, another one is named, it goes, it comes", async (t) => {
    const told = await watching(t, "query @live(patch: true) { song(id: \"s1\") { band { name } } }");
    const is = (band) => told.is({ song: { band } });
    await is({ name: "Can" });
    await write("updateBand(id: \"b1\", patch: {name: \"The Can\"}) { id }");
    await is({ name: "The Can" });
    await write("updateBand(id: \"b1\", patch: {founded: 1969}) { id }");
    await told.isNothing();
    await write("updateBand(id: \"b2\", patch: {name: \"Neu\"}) { id }");
    await told.isNothing();
    await write("updateSong(id: \"s1\", patch: {band: {connect: \"b2\"}}) { id }");
    await is({ name: "Neu" });
    await write("deleteBand(id: \"b2\") { id }");
    await is(null);
    await write("restoreBand(id: \"b2\") { id }");
    await is({ name: "Neu" });
    await write("updateSong(id: \"s1\", patch: {band_id: \"b9\"}) { id }");
    await is(null);
    await write("createBand(input: {id: \"b9\", name: \"Harmonia\"}) { id }");
    await is({ name: "Harmonia" });
    await write(`
      deleteBand(id: "b9", permanent: true) { id }
      a: updateSong(id: "s1", patch: {band_id: "b1"}) { id }
      b: updateBand(id: "b1", patch: {name: "Can", founded: 1968}) { id }
      c: updateBand(id: "b2", patch: {name: "Neu!"}) { id }
    `);
    await is({ name: "Can" });
  });

  test("a list of ids: one of them changes, goes, comes", async (t) => {
    const told = await watching(t, "query @live { song(id: \"s1\") { writers { name } } }");
    const is = (...writers) => told.is({ song: { writers } });
    await is({ name: "Can" }, { name: "Neu!" });
    await write("updateBand(id: \"b2\", patch: {name: \"Neu\"}) { id }");
    await is({ name: "Can" }, { name: "Neu" });
    await write("deleteBand(id: \"b1\") { id }");
    await is(null, { name: "Neu" });
    await write("restoreBand(id: \"b1\") { id } updateBand(id: \"b2\", patch: {name: \"Neu!\"}) { id }");
    await is({ name: "Can" }, { name: "Neu!" });
  });

  test("the way back: one comes, changes, goes; and how many there are", async (t) => {
    const songs = "songs(orderBy: [{title: ASC}], first: 2) { nodes { title } totalCount }";
    const told = await watching(t, `query @live(patch: true) { band(id: "b2") { ${songs} } }`);
    const is = (totalCount, ...titles) => told.is({ band: { songs: { nodes: titles.map((title) => ({ title })), totalCount } } });
    await is(1, "Hallogallo");
    await write("createSong(input: {id: \"s3\", title: \"Isi\", band_id: \"b2\"}) { id }");
    await is(2, "Hallogallo", "Isi");
    await write("createSong(input: {id: \"s4\", title: \"Weissensee\", band_id: \"b2\"}) { id }");
    await is(3, "Hallogallo", "Isi");
    await write("updateSong(id: \"s4\", patch: {title: \"Fuer immer\"}) { id }");
    await is(3, "Fuer immer", "Hallogallo");
    await write("updateSong(id: \"s4\", patch: {band_id: \"b1\"}) { id }");
    await is(2, "Hallogallo", "Isi");
    await write("deleteSongs(filter: {id: {in: [\"s3\", \"s4\"]}}, permanent: true) { count }");
    await is(1, "Hallogallo");
  });

  test("a filter over related documents, of either direction, and over their number", async (t) => {
    const query = `query @live {
      to: songs(filter: {band: {founded: {gte: 1970}}}) { nodes { id } }
      back: bands(filter: {songs: {some: {title: {startsWith: "V"}}}}) { nodes { id } }
      none: bands(filter: {songs: {none: {title: {startsWith: "V"}}}}) { nodes { id } }
      many: bands(filter: {songs: {length: {gte: 2}}}) { totalCount }
    }`;
    const told = await watching(t, query);
    const list = (...ids) => nodes(...ids.map((id) => ({ id })));
    await told.is({ to: list("s2"), back: list("b1"), none: list("b2"), many: { totalCount: 0 } });
    await write("updateBand(id: \"b1\", patch: {founded: 1970}) { id }");
    await told.is({ to: list("s1", "s2"), back: list("b1"), none: list("b2"), many: { totalCount: 0 } });
    await write("updateSong(id: \"s2\", patch: {title: \"Vier\"}) { id }");
    await told.is({ to: list("s1", "s2"), back: list("b1", "b2"), none: list(), many: { totalCount: 0 } });
    await write("updateSong(id: \"s2\", patch: {band_id: \"b1\"}) { id }");
    await told.is({ to: list("s1", "s2"), back: list("b1"), none: list("b2"), many: { totalCount: 1 } });
    await write("deleteSong(id: \"s1\") { id }");
    await told.is({ to: list("s2"), back: list("b1"), none: list("b2"), many: { totalCount: 0 } });
    await write(`
      restoreSong(id: "s1") { id }
      a: updateSong(id: "s2", patch: {band_id: "b2", title: "Hallogallo"}) { id }
      b: updateBand(id: "b1", patch: {founded: 1968}) { id }
    `);
    // What is shown is the same, for other reasons.
    await told.isNothing();
  });

  test("an order by a related document's field", async (t) => {
    const told = await watching(t, "query @live { songs(orderBy: [{band: {name: ASC}}]) { nodes { id } } }");
    await told.is({ songs: nodes({ id: "s1" }, { id: "s2" }) });
    await write("updateBand(id: \"b1\", patch: {name: \"Zan\"}) { id }");
    await told.is({ songs: nodes({ id: "s2" }, { id: "s1" }) });
    await write("updateBand(id: \"b1\", patch: {name: \"Can\"}) { id }");
    await told.is({ songs: nodes({ id: "s1" }, { id: "s2" }) });
  });
});

describe("a document", () => {
  before(() => server.importInto("jars", [{ id: "a", label: "salt" }, { id: "b", label: "rice" }]));

  for (const [name, query, here, gone] of [
    ["by its id", "jar(id: \"a\") { label }", { jar: { label: "salt" } }, { jar: null }],
    ["in a list", "jars { nodes { label } }", { jars: nodes({ label: "salt" }, { label: "rice" }) }, { jars: nodes({ label: "rice" }) }],
  ]) {
    test(`${name}: is deleted and restored; deleted and made again, softly and for good`, async (t) => {
      const told = await watching(t, `query @live(patch: true) { ${query} }`);
      await told.is(here);
      await write("deleteJar(id: \"a\") { id }");
      await told.is(gone);
      await write("restoreJar(id: \"a\") { id }");
      await told.is(here);
      for (const permanent of [false, true]) {
        await write(`deleteJar(id: "a", permanent: ${permanent}) { id }`);
        await told.is(gone);
        await write("createJar(input: {id: \"a\", label: \"salt\"}) { id }");
        await told.is(here);
        // In one commit nothing is to be seen of it.
        await write(`deleteJar(id: "a", permanent: ${permanent}) { id } createJar(input: {id: "a", label: "salt"}) { id }`);
        await told.isNothing();
      }
    });
  }

  test("expires at a time of its own, softly and for good, and is given more time", async (t) => {
    const told = await watching(t, "query @live { jars(filter: {id: {startsWith: \"e\"}}) { nodes { id } totalCount } }");
    const is = (...ids) => told.is({ jars: { ...nodes(...ids.map((id) => ({ id }))), totalCount: ids.length } });
    await is();
    const soon = new Date(Date.now() + 1000).toISOString();
    await write(`
      e1: createJar(input: {id: "e1", _expiresAt: "${soon}", _onExpire: SOFT}) { id }
      e2: createJar(input: {id: "e2", _expiresAt: "${soon}", _onExpire: PERMANENT}) { id }
      e3: createJar(input: {id: "e3", _expiresAt: "${soon}"}) { id }
    `);
    await is("e1", "e2", "e3");
    await write("updateJar(id: \"e3\", patch: {_expiresAt: null}) { id }");
    await told.isNothing();
    await told.follower.until(({ data }) => isDeepStrictEqual(data.jars.nodes, [{ id: "e3" }]), "that two have expired");
    assert.deepEqual((await told.since()).at(-1), { jars: { ...nodes({ id: "e3" }), totalCount: 1 } });
    await write("deleteJar(id: \"e3\", permanent: true) { id }");
    await is();
  });

  test("expires by the ttl of its collection", async (t) => {
    await server.importInto("sparks", [{ id: "a", n: 1 }]);
    const told = await watching(t, "query @live(patch: true) { sparks { nodes { id } } sparksAggregate { count sum { n } } }");
    await told.is({ sparks: nodes({ id: "a" }), sparksAggregate: { count: 1, sum: { n: 1 } } });
    await write("applySchema(sdl: \"type Spark @collection(name: \\\"sparks\\\", ttl: \\\"1s\\\") { id: ID! }\") { changes }");
    const gone = { sparks: nodes(), sparksAggregate: { count: 0, sum: { n: null } } };
    await told.follower.until(({ data }) => isDeepStrictEqual(data, gone), "that it has expired");
    await told.is(gone);
  });
});

describe("the schema", () => {
  test("a change that leaves the query valid: it goes on, and what shows nothing tells nothing", async (t) => {
    await server.importInto("coins", [{ id: "a", worth: 1 }]);
    const told = await watching(t, "query @live(patch: true) { coins { nodes { id worth } } }");
    await told.is({ coins: nodes({ id: "a", worth: 1 }) });
    const version = async () => (await server.run("{ schema { version } }")).schema.version;
    const before = await version();
    await write("updateCoin(id: \"a\", patch: {_extra: {metal: \"copper\"}}) { id }");
    await write("applySchema(sdl: \"type Coin @collection(name: \\\"coins\\\") @index(fields: [\\\"worth\\\"]) { id: ID! }\") { changes }");
    assert.notEqual(await version(), before);
    await told.isNothing();
    await write("updateCoin(id: \"a\", patch: {worth: 2}) { id }");
    await told.is({ coins: nodes({ id: "a", worth: 2 }) });
    // The type of a field that is shown becomes another one.
    await write("updateCoin(id: \"a\", patch: {_set: {worth: \"two\"}}) { id }");
    await told.is({ coins: nodes({ id: "a", worth: "two" }) });
  });

  for (const [name, change] of [
    ["the field goes", "updateToy(id: \"a\", patch: {_unset: [age]}) { id }"],
    ["the field's type takes no such filter", "updateToy(id: \"a\", patch: {_set: {age: true}}) { id }"],
    ["the collection is dropped", "dropCollection(name: \"toys\") { name }"],
    ["the collection is renamed", "renameCollection(from: \"toys\", to: \"games\") { name }"],
  ]) {
    test(`a change that makes the query invalid ends it: ${name}`, async (t) => {
      await server.importInto("toys", [{ id: "a", age: 3 }]);
      t.after(() => server.post("mutation { dropCollection(name: \"games\") { name } }"));
      t.after(() => server.post("mutation { dropCollection(name: \"toys\") { name } }"));
      const told = await watching(t, "query @live(patch: true) { toys(filter: {age: {lt: 5}}) { nodes { age } } }");
      const other = await watching(t, "query @live { marks { totalCount } }");
      await told.is({ toys: nodes({ age: 3 }) });
      await write(change);
      await told.follower.until(() => false, "the end");
      assert.equal(told.follower.error[0].extensions.code, "SCHEMA_CHANGED");
      // Others of the server go on.
      assert.equal((await other.since()).length, 1);
      await write("createMark(input: {id: \"other\"}) { id }");
      await other.is({ marks: { totalCount: 2 } });
      await write("deleteMark(id: \"other\", permanent: true) { id }");
    });
  }

  test("a collection that is not there yet", async (t) => {
    const names = await watching(t, "query @live { collections { name count } }");
    await names.since();
    const early = new Follower(names.follower.connection, { query: "query @live { kites { totalCount } }" });
    await early.until(() => false, "a refusal");
    assert.equal(early.error[0].extensions.code, "VALIDATION_FAILED");
    await write("createCollection(name: \"kites\") { name }");
    const count = async () => (await names.since()).at(-1).collections.find(({ name }) => name === "kites").count;
    assert.equal(await count(), 0);
    const told = await watching(t, "query @live(patch: true) { kites { nodes { id } totalCount } kitesAggregate { count } }");
    const is = (...ids) =>
      told.is({ kites: { ...nodes(...ids.map((id) => ({ id }))), totalCount: ids.length }, kitesAggregate: { count: ids.length } });
    await is();
    await write("insertDocuments(collection: \"kites\", documents: [{id: \"a\", tail: 2}, {id: \"b\"}])");
    await is("a", "b");
    assert.equal(await count(), 2);
    // It is emptied, and filled again.
    await write("truncateCollection(name: \"kites\") { name }");
    await is();
    assert.equal(await count(), 0);
    await write("insertDocuments(collection: \"kites\", documents: [{id: \"a\"}])");
    await is("a");
    // In one commit, so that the same is there afterwards.
    await write("truncateCollection(name: \"kites\") { name } insertDocuments(collection: \"kites\", documents: [{id: \"a\"}])");
    await told.isNothing();
    await write("dropCollection(name: \"kites\") { name }");
    await told.follower.until(() => false, "the end");
    assert.equal(told.follower.error[0].extensions.code, "SCHEMA_CHANGED");
  });
});

describe("an aggregate", () => {
  before(() => server.importInto("sales", [1, 5, 9].map((n) => ({ id: `s${n}`, n, shop: n < 6 ? "east" : "west" }))));

  test("the extreme goes, and comes again; sum, avg and count go with it", async (t) => {
    const functions = "count sum { n } avg { n } min { n } max { n } countDistinct { shop }";
    const told = await watching(t, `query @live(patch: true) { salesAggregate { ${functions} } }`);
    const is = (count, sum, avg, min, max, shop) => {
      const [extremes, means] = [{ min: { n: min }, max: { n: max } }, { sum: { n: sum }, avg: { n: avg } }];
      return told.is({ salesAggregate: { count, ...means, ...extremes, countDistinct: { shop } } });
    };
    await is(3, 15, 5, 1, 9, 2);
    await write("deleteSale(id: \"s9\") { id }");
    await is(2, 6, 3, 1, 5, 1);
    await write("restoreSale(id: \"s9\") { id }");
    await is(3, 15, 5, 1, 9, 2);
    await write("updateSale(id: \"s1\", patch: {n: 7}) { id }");
    await is(3, 21, 7, 5, 9, 2);
    await write("updateSale(id: \"s1\", patch: {n: null}) { id }");
    await is(3, 14, 7, 5, 9, 2);
    await write("a: updateSale(id: \"s1\", patch: {n: 1}) { id }");
    await is(3, 15, 5, 1, 9, 2);
    // Between the extremes, and such that the sum stays.
    await write("a: updateSale(id: \"s1\", patch: {n: 2}) { id } b: updateSale(id: \"s9\", patch: {n: 8}) { id }");
    await is(3, 15, 5, 2, 8, 2);
    await write("a: updateSale(id: \"s1\", patch: {n: 1}) { id } b: updateSale(id: \"s9\", patch: {n: 9}) { id }");
    await is(3, 15, 5, 1, 9, 2);
  });

  test("of a minimum alone: what is not the extreme tells nothing, one that is equal to it neither", async (t) => {
    const told = await watching(t, "query @live { salesAggregate { min { n } } }");
    const is = (n) => told.is({ salesAggregate: { min: { n } } });
    await is(1);
    await write("createSale(input: {id: \"t\", n: 1}) { id }");
    await told.isNothing();
    await write("deleteSale(id: \"s1\") { id }");
    await told.isNothing();
    await write("deleteSale(id: \"t\", permanent: true) { id }");
    await is(5);
    await write("restoreSale(id: \"s1\") { id }");
    await is(1);
  });

  test("a count alone does not care about fields", async (t) => {
    const told = await watching(t, "query @live { salesAggregate { count } }");
    await told.is({ salesAggregate: { count: 3 } });
    const fields = async () => {
      await write("updateSale(id: \"s5\", patch: {n: 6}) { id }");
      await write("updateSale(id: \"s5\", patch: {n: 5}) { id }");
      await told.isNothing();
    };
    assert.deepEqual(await growth(["matched_total", "woken_total"], fields), [0, 0]);
    await write("createSale(input: {id: \"t\"}) { id }");
    await told.is({ salesAggregate: { count: 4 } });
    await write("deleteSale(id: \"t\", permanent: true) { id }");
    await told.is({ salesAggregate: { count: 3 } });
  });

  test("groups: a document moves between two, one comes to be and goes, having lets one in", async (t) => {
    const query = `query @live(patch: true) {
      salesAggregate(groupBy: [shop], having: {sum: {n: {gte: 5}}}) { groupCount groups { key { shop } count sum { n } } }
    }`;
    const told = await watching(t, query);
    const is = (...of) => {
      const groups = of.map(([shop, count, n]) => ({ key: { shop }, count, sum: { n } }));
      return told.is({ salesAggregate: { groupCount: groups.length, groups } });
    };
    await is(["east", 2, 6], ["west", 1, 9]);
    await write("updateSale(id: \"s5\", patch: {shop: \"west\"}) { id }");
    await is(["west", 2, 14]);
    await write("updateSale(id: \"s9\", patch: {shop: \"north\"}) { id }");
    await is(["north", 1, 9], ["west", 1, 5]);
    await write("updateSale(id: \"s1\", patch: {n: 5}) { id }");
    await is(["east", 1, 5], ["north", 1, 9], ["west", 1, 5]);
    await write(`
      a: updateSale(id: "s1", patch: {n: 1}) { id }
      b: updateSale(id: "s5", patch: {shop: "east"}) { id }
      c: updateSale(id: "s9", patch: {shop: "west"}) { id }
    `);
    await is(["east", 2, 6], ["west", 1, 9]);
  });
});

describe("time", () => {
  before(() => server.importInto("tides", [{ id: "a", level: 1 }]));

  test("what is asked for as of a time is told once and woken never, also beside what is live", async (t) => {
    const { extensions } = await server.post("{ tides { totalCount } }");
    const at = timeOf(extensions.thalweg.commitTs);
    const past = await watching(t, "query ($at: DateTime) @live { tides(at: $at) { nodes { level } } }", { at });
    const twice = "then: tides(at: $at) { nodes { level } } now: tides { nodes { level } }";
    const both = await watching(t, `query ($at: DateTime) @live(patch: true) { ${twice} }`, { at });
    await past.is({ tides: nodes({ level: 1 }) });
    await both.is({ then: nodes({ level: 1 }), now: nodes({ level: 1 }) });
    const changes = async () => {
      await write("updateTide(id: \"a\", patch: {level: 2}) { id }");
      await both.is({ then: nodes({ level: 1 }), now: nodes({ level: 2 }) });
    };
    // One evaluation is that of the other operation. Two connections are told of each mark.
    const [evaluations] = await growth(["woken_total"], changes);
    assert.equal(evaluations, 1);
    await past.isNothing();
  });
});

describe("a slow query", () => {
  const GRAINS = 20_000;
  before(() => server.importInto("grains", Array.from({ length: GRAINS }, (_, n) => ({ id: `g${n}`, n, kind: `kind ${n % 50}` }))));

  test("delays those alone who follow it, who are told of one state all the same, and rightly", async (t) => {
    const slow = "grainsAggregate(groupBy: [kind], filter: {n: {ne: -1}}) { groups { key { kind } count countDistinct { n } } }";
    const quick = "grains(orderBy: [{n: DESC}], first: 3) { nodes { id n } }";
    const grind = await watching(t, `query Grind @live(patch: true) { ${slow} }`);
    const { connection } = grind.follower;
    const beside = new Follower(connection, { query: `query Beside @live { ${quick} }` });
    const aside = await watching(t, `query Aside @live { ${quick} }`);
    await beside.until(() => true, "the first result");
    for (let n = 1; n <= 20; n += 1) {
      await write(`
        a: updateGrain(id: "g${n}", patch: {n: ${GRAINS + n}}) { id }
        b: updateGrain(id: "g${n + 100}", patch: {kind: "kind ${n + 1}"}) { id }
      `);
      await aside.follower.until(({ data }) => data.grains.nodes[0].id === `g${n}`, `write ${n}`);
    }
    await grind.since();
    await aside.since();
    const { liveQueries } = await (await fetch(`${server.origin}/live?by=cost`)).json();
    const { runs, micros } = liveQueries.find(({ operationName }) => operationName === "Grind").cost;
    assert.ok(runs > 1 && micros / runs > 10_000, `${runs} runs in ${micros} µs are not slow, so nothing was shown`);
    assert.ok(grind.follower.events.length > 1 && beside.events.length > 1);
    for (const [root, { events }] of [[slow, grind.follower], [quick, beside], [quick, aside.follower]]) {
      const past = askedOnce(`{ ${root} }`, buildSchema(await server.sdl())).past;
      for (const { data, extensions } of events) {
        const { commitTs } = extensions.thalweg;
        assert.deepEqual(data, await server.run(past, { past: timeOf(commitTs) }), `at ${commitTs}`);
      }
      assert.deepEqual(events.at(-1).data, await server.run(`{ ${root} }`));
    }
  });
});

describe("a slow client", () => {
  /** How the text begins that a message shows; the whole of them would take much memory. */
  function beginning({ data, patch }) {
    const text = data?.wall.text0 ?? patch[0]?.value?.wall?.text0 ?? patch[0]?.value ?? "nothing";
    return Buffer.from(text.slice(0, 3)).toString();
  }

  /** Follows a large result, and takes nothing until it is told to. */
  async function slow(t, query) {
    const socket = new WebSocket(server.webSocketUrl, "graphql-transport-ws");
    t.after(() => socket.terminate());
    const messages = [];
    let [wake, marked] = [() => {}, undefined];
    socket.on("message", (text) => {
      const { type, id, payload } = JSON.parse(text);
      if (type === "next" && id === "mark") marked = payload.data.mark.text;
      else if (type === "next") messages.push(beginning(payload));
      wake();
    });
    const received = async (holds) => {
      while (!holds()) await new Promise((resolve) => (wake = resolve));
    };
    await new Promise((resolve) => socket.once("open", resolve));
    socket.send(JSON.stringify({ type: "connection_init" }));
    socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query } }));
    socket.send(JSON.stringify({ id: "mark", type: "subscribe", payload: { query: "subscription { mark(id: \"mark\") { text } }" } }));
    await received(() => messages.length > 0 && marked);
    const end = () => socket.terminate();
    return { messages, received, marked: () => marked, pause: () => socket.pause(), resume: () => socket.resume(), end };
  }

  const texts = { A: "a".repeat(1_000_000), B: "b".repeat(1_000_000), end: "end" };
  const put = (name) => server.run("mutation ($text: String) { updateWall(id: \"w\", patch: {text: $text}) { id } }", { text: texts[name] });
  before(() => server.importInto("walls", [{ id: "w", text: texts.A }]));

  /** Does something, and waits until a figure has grown by it. */
  async function until(name, action) {
    const before = await figure(name);
    await action();
    while ((await figure(name)) === before) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /**
   * What a client is shown of A and B by turns that takes nothing, until one of them is skipped, then the one before it once more,
   * and an end; and whether one was skipped.
   */
  async function shown(t, query) {
    await put("A");
    const others = await figure("subscriptions");
    const { messages, received, marked, pause, resume, end } = await slow(t, query);
    pause();
    let [name, isTaken, taken] = ["A", true, 0];
    for (; isTaken; taken += 1) {
      name = name === "A" ? "B" : "A";
      const sent = await figure("messages_total");
      await until("woken_total", () => put(name));
      await new Promise((resolve) => setTimeout(resolve, 300));
      isTaken = (await figure("messages_total")) > sent;
    }
    await until("woken_total", () => put(name === "A" ? "B" : "A"));
    resume();
    await received(() => messages.length >= taken);
    const text = await mark();
    await received(() => marked() === text);
    await until("messages_total", () => put("end"));
    await received(() => messages.at(-1) === "end");
    end();
    // What it is told counts as what the next one is told.
    while ((await figure("subscriptions")) > others) await new Promise((resolve) => setTimeout(resolve, 10));
    // A server that is slow itself may have begun it later.
    return { texts: messages, isSkipped: messages[taken] !== name.toLowerCase().repeat(3) };
  }

  // As much is kept of a connection as live.connection_held_bytes_max says; more of it is not known any more.
  for (const [size, count] of [["that is kept", 3], ["past what is kept", 8]]) {
    for (const live of ["@live", "@live(patch: true)"]) {
      test(`is not told the same again, where the state between was skipped, of a result ${size}, ${live}`, async (t) => {
        const aliases = Array.from({ length: count }, (_, n) => `text${n}: text`).join(" ");
        for (let attempts = 0; attempts < 5; attempts += 1) {
          const { texts, isSkipped } = await shown(t, `query ${live} { wall(id: "w") { ${aliases} } }`);
          const isRepeated = texts.some((text, index) => text === "not" || text === texts[index - 1]);
          assert.ok(!isRepeated, `${texts}`);
          if (isSkipped) return;
        }
        assert.fail("nothing was ever skipped, so nothing was shown");
      });
    }
  }
});
