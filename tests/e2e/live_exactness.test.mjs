// Live queries are exact: over random schemas and data, under random writes, every event is what a query at its commit gives, and the
// last one of each what a query gives now.
//
// THALWEG_SEED repeats a run, THALWEG_EXACT_SECONDS says how long it goes on, THALWEG_EXACT_WORLD names the one world to run. A world is
// a database of its own: its schema, data, operations and writes follow from the seed alone; only in which order concurrent writes
// commit does not.

import { strict as assert } from "node:assert";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { buildSchema } from "graphql";
import { Connection, Follower, isSame } from "./live/audience.mjs";
import { LiveOperations } from "./live/operations.mjs";
import { askedOnce, commitTsOf, timeOf, withoutCursors } from "./live/past.mjs";
import { World } from "./live/world.mjs";
import { Writes } from "./live/writes.mjs";
import { Random, seedOfRun } from "./oracle/random.mjs";
import { startServer } from "./own_server.mjs";

const SECONDS = Number(process.env.THALWEG_EXACT_SECONDS ?? 25);
const ONLY = process.env.THALWEG_EXACT_WORLD;
const CONNECTIONS = 3;
const OPERATIONS = 30;
const ROUNDS = 6;
const WRITES = 60;
const WRITERS = 4;
/** How many questions are asked at a time. */
const WIDTH = 8;

const seed = seedOfRun();

/** The server compares what it maintains with a fresh run, where it knows how. */
function verifying() {
  const help = execFileSync(process.env.THALWEG_BIN, ["serve", "--help"], { encoding: "utf8" });
  if (help.includes("--live-verify")) return ["--live-verify"];
  return /live\.verify|^\s+verify = /m.test(help) ? ["--limit", "live.verify=true"] : [];
}

describe("live queries are exact", () => {
  test(`for ${SECONDS} seconds`, async (context) => {
    context.diagnostic(`THALWEG_SEED=${seed}`);
    const options = verifying();
    const total = { worlds: 0, operations: 0, writes: 0, refused: 0, events: 0, compared: 0, ended: 0, errors: 0, woken: 0, maintained: 0 };
    // Of each kind the first one, and how many there were.
    const faults = new Map();
    const end = Date.now() + SECONDS * 1000;
    try {
      for (let number = ONLY === undefined ? 0 : Number(ONLY); Date.now() < end; number += 1) {
        await new Trial(number, total, faults).run(options, end);
        total.worlds += 1;
        if (ONLY !== undefined) break;
      }
    } finally {
      context.diagnostic(JSON.stringify(total));
    }
    assert.equal(faults.size, 0, `${[...faults.values()].map(({ count, text }) => `${count} times: ${text}`).join("\n\n")}`);
    assert.ok(total.writes > total.refused * 2, "most writes were refused, which shows little");
    assert.ok(total.events > total.writes / 2, "too few events to say anything");
    assert.ok(total.compared > total.events / 10, "too few of the events were compared");
  });
});

/** One world, from its beginning to its end. */
class Trial {
  #number;
  #total;
  #faults;
  #random;
  #server;
  #world;
  #writes;
  #operations;
  #connections = [];
  #followers = [];
  /** What was written, with its commit. */
  #written = [];
  #marks = 0;
  /** The questions that belong to an operation, and what was answered to them. */
  #asked = new Map();
  #schema;

  constructor(number, total, faults) {
    this.#number = number;
    this.#total = total;
    this.#faults = faults;
    this.#random = new Random(seed + number * 7919);
    this.#world = new World(this.#random);
    this.#writes = new Writes(this.#world, this.#random);
  }

  async run(options, end) {
    const evolve = this.#random.pick(["follow", "additive"]);
    this.#server = await startServer({ options: ["--evolve", evolve, ...options] });
    try {
      await this.#fill();
      this.#operations = new LiveOperations(this.#world, this.#random, this.#schema);
      this.#connections = Array.from({ length: CONNECTIONS }, () => new Connection(this.#server.webSocketUrl));
      for (let left = OPERATIONS; left > 0; left -= 1) await this.#follow();
      for (let round = 0; round < ROUNDS && Date.now() < end; round += 1) await this.#round(round % 2 === 1);
      await this.#metrics();
    } finally {
      await Promise.all(this.#connections.map((it) => it.dispose()));
      await this.#server.stop();
    }
  }

  async #fill() {
    const server = this.#server;
    for (const it of this.#world.collections) await server.importInto(it.collection, this.#world.documents(it));
    await server.importInto("marks", [{ id: "mark", text: "begun" }]);
    await server.run("mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }", { sdl: this.#world.sdl() });
    this.#schema = buildSchema(await server.sdl());
  }

  /** One more operation, on one or two connections. */
  async #follow() {
    const operation = await this.#operations.next(async (it, parameters, declared, variables) => {
      const query = `query${declared} { list: ${it.collection}${parameters} { pageInfo { endCursor } } }`;
      const { data } = await this.#server.post(query, variables);
      return data?.list?.pageInfo.endCursor ?? null;
    });
    const connections = this.#random.some(this.#connections, 2);
    const { errors } = await this.#server.post(askedOnce(operation.query, this.#schema).now, operation.variables);
    const code = errors?.find(({ extensions }) => extensions.code !== "TYPE_DRIFT")?.extensions.code;
    // Types that have changed since the world began may not have what it asks for.
    if (code === "LIMIT_EXCEEDED" || (this.#marks > 0 && /^(VALIDATION_FAILED|BAD_REQUEST)$/.test(code))) return;
    assert.equal(code, undefined, `${operation.query}\n${JSON.stringify(operation.variables)}\n${JSON.stringify(errors)}`);
    for (const connection of connections) this.#followers.push(new Follower(connection, operation));
    this.#total.operations += 1;
  }

  /** Writes, and then a judgement. A rough round takes the past away, so in it only what is there in the end is compared. */
  async #round(isRough) {
    const before = await this.#version();
    const of = (length, make) => Array.from({ length }, make);
    const gentle = () => this.#writes.gentle();
    const operations = isRough ? [...of(3, () => this.#writes.rough()), ...of(10, gentle)] : of(WRITES, gentle);
    const leaving = this.#random.some(this.#followers, 3);
    const coming = this.#coming(3);
    let next = 0;
    const writers = Array.from({ length: WRITERS }, async () => {
      while (next < operations.length) await this.#write(operations[next++]);
    });
    // Some leave and some come while it is written.
    for (const follower of leaving) {
      follower.stop();
      this.#judgeMessages(follower);
      this.#followers.splice(this.#followers.indexOf(follower), 1);
      await new Promise(setImmediate);
    }
    await Promise.all([...writers, coming]);
    await this.#settle();
    const isSameSchema = (await this.#version()) === before;
    await this.#judge(!isRough && !this.#world.isForgetful && isSameSchema);
  }

  async #coming(count) {
    for (let left = count; left > 0; left -= 1) await this.#follow();
  }

  async #write(text) {
    const { errors, extensions } = await this.#server.post(text);
    this.#total.writes += 1;
    if (errors) {
      this.#total.refused += 1;
      const wrong = errors.find(({ extensions: { code } }) => code === "INTERNAL" || code === "PARSE_FAILED");
      assert.equal(wrong, undefined, `${text}\n${JSON.stringify(errors)}`);
    } else this.#written.push({ text, commitTs: commitTsOf({ extensions }) });
  }

  async #version() {
    return (await this.#server.run("{ schema { version } }")).schema.version;
  }

  /**
   * Waits until all that was written has been told. All live queries of one WebSocket are told of together, so once a second
   * mark has come nothing older than the first one can.
   */
  async #settle() {
    await Promise.all(this.#followers.map((it) => it.until(() => true, "the first result")));
    for (let times = 0; times < 2; times += 1) {
      const text = `mark ${(this.#marks += 1)}`;
      await this.#server.run("mutation ($text: String) { updateMark(id: \"mark\", patch: {text: $text}) { id } }", { text });
      await Promise.all(this.#connections.map((it) => it.until(text)));
    }
  }

  async #judge(hasPast) {
    for (const { faults } of this.#connections) this.#expect(faults.length === 0, `time went back: ${faults}`);
    await this.#validity();
    const questions = this.#followers.flatMap((follower) => {
      this.#judgeMessages(follower);
      const events = follower.events.slice(follower.judged);
      this.#total.errors += events.filter(({ errors }) => errors).length;
      follower.judged = follower.events.length;
      this.#total.events += events.length;
      const past = hasPast ? events.map((event) => () => this.#judgePast(follower, event)) : [];
      return [...past, () => this.#judgeNow(follower)];
    });
    await inParallel(questions);
  }

  /** Who was told of an end was told why, and what goes on can be asked. */
  async #validity() {
    for (const follower of this.#followers) {
      if (follower.error === undefined) continue;
      this.#total.ended += 1;
      const [first] = Array.isArray(follower.error) ? follower.error : [follower.error];
      // Before its first event it may find that it comes too late.
      const codes = follower.events.length > 0 ? ["SCHEMA_CHANGED"] : ["SCHEMA_CHANGED", "VALIDATION_FAILED", "BAD_REQUEST"];
      this.#expect(codes.includes(first.extensions?.code), "it ended without need", follower, { errors: follower.error });
    }
    this.#followers = this.#followers.filter(({ error }) => error === undefined);
  }

  #judgeMessages(follower) {
    this.#expect(follower.gaps.length === 0, `messages did not fit: ${follower.gaps}`, follower);
    const { events } = follower;
    for (let index = Math.max(follower.judged, 1); index < events.length; index += 1) {
      this.#expect(!isSame(events[index - 1], events[index]), "the same was told twice", follower, events[index]);
    }
  }

  async #judgePast(follower, event) {
    const { past, timeless } = this.#questions(follower.operation);
    if (past === undefined) return;
    const commitTs = commitTsOf(event);
    const expected = await this.#server.post(past, { ...follower.operation.variables, past: timeOf(commitTs) });
    const data = Object.fromEntries(Object.entries(event.data ?? {}).filter(([name]) => !timeless.has(name)));
    const told = { ...event, data };
    this.#total.compared += 1;
    const [one, other] = [told, expected].map(({ data, errors }) => ({ data: withoutCursors(data), errors }));
    delete one.data.__typename;
    delete other.data.__typename;
    this.#expect(isSame(one, other), "it was not so then", follower, event, expected);
  }

  async #judgeNow(follower) {
    const expected = await this.#server.post(this.#questions(follower.operation).now, follower.operation.variables);
    this.#expect(follower.last !== undefined, "nothing was told", follower, undefined, expected);
    if (!follower.last) return;
    this.#total.compared += 1;
    this.#expect(isSame(follower.last, expected), "it is not so now", follower, follower.last, expected);
  }

  #questions({ query }) {
    if (!this.#asked.has(query)) this.#asked.set(query, askedOnce(query, this.#schema));
    return this.#asked.get(query);
  }

  #expect(holds, what, ...of) {
    if (holds) return;
    const kind = what.split(":")[0];
    if (!this.#faults.has(kind)) this.#faults.set(kind, { count: 0, text: this.#where(what, ...of) });
    this.#faults.get(kind).count += 1;
  }

  async #metrics() {
    const text = await (await fetch(`${this.#server.origin}/metrics`)).text();
    const figure = (name) => Number(new RegExp(`^thalweg_live_${name}_total (\\d+)`, "m").exec(text)?.[1] ?? 0);
    for (const name of ["woken", "maintained"]) this.#total[name] += figure(name);
    this.#expect(figure("mismatched") === 0, `what the changes told was mismatched ${figure("mismatched")} times: ${this.#server.log()}`);
  }

  /** All that is needed to see what went wrong. */
  #where(what, follower, told, expected) {
    const lines = [`THALWEG_SEED=${seed} THALWEG_EXACT_WORLD=${this.#number} ${what}`];
    if (!follower) return lines.join("\n");
    const { query, variables } = follower.operation;
    lines.push(query, JSON.stringify(variables));
    if (!told?.extensions) return [...lines, JSON.stringify(told), JSON.stringify(expected)].join("\n");
    const at = BigInt(commitTsOf(told));
    const index = follower.events.indexOf(told);
    const before = index > 0 ? follower.events[index - 1] : undefined;
    const from = before ? BigInt(commitTsOf(before)) : at - 1n;
    const ordered = this.#written.toSorted((a, b) => Number(BigInt(a.commitTs) - BigInt(b.commitTs)));
    // After the last event nothing should have changed, so what was written then is of interest.
    const writes = ordered.filter(({ commitTs }) => BigInt(commitTs) > from && (BigInt(commitTs) <= at || what === "it is not so now"));
    lines.push(`event ${index} of ${follower.events.length}`);
    for (const [name, result] of Object.entries({ before, told, expected })) lines.push(`${name}: ${JSON.stringify(result)}`);
    lines.push("written since the event before:", ...writes.map(({ text, commitTs }) => `${commitTs} ${text}`), "declared:", this.#world.sdl());
    return lines.join("\n");
  }
}

async function inParallel(tasks) {
  let next = 0;
  const worker = async () => {
    while (next < tasks.length) await tasks[next++]();
  };
  await Promise.all(Array.from({ length: WIDTH }, worker));
}
